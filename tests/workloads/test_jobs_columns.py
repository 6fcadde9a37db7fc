"""Jobs as columns are the jobs one by one."""

from itertools import count

import pytest

from edgewright.workloads import Source, Stream
from edgewright.workloads.arrivals import ARRIVALS
from edgewright.workloads.jobs_columns import job_columns
from edgewright.workloads.lengths import AzureLengths, Conditional, Empirical, Fixed, Joint, LogNormal, Uniform

POISSON = ARRIVALS["poisson"](rate=3.0)
LENGTHS = {
    "azure": AzureLengths(),
    "azure code": AzureLengths(trace="code"),
    "joint": Joint(prompt=LogNormal(median=90, sigma=1.0), output=Uniform(low=1, high=9)),
    "correlated": Joint(prompt=LogNormal(median=90, sigma=1.0), output=LogNormal(median=9, sigma=1.0), correlation=0.5),
    "one range": Conditional(prompt=Empirical(levels=(0, 1), values=(1, 90)), edges=(), output=(Empirical(levels=(0, 1), values=(1, 9)),)),
    "fixed": Joint(prompt=Fixed(value=7), output=Fixed(value=2)),
}


@pytest.mark.parametrize("lengths", LENGTHS.values(), ids=LENGTHS)
@pytest.mark.parametrize("thin", [1.0, 0.4])
def test_columns_hold_the_same_draws(lengths, thin):
    source = Source(name="s", service="chat", arrivals=ARRIVALS["poisson"](rate=3.0, thin=thin), lengths=lengths)
    stream = Stream(4, "workloads.s")
    one_by_one = list(source.jobs(stream, 0.0, 60.0, count()))
    columns = job_columns(source, stream, 0.0, 60.0)
    assert len(columns) == len(one_by_one) > 40
    assert columns.arrival.tolist() == [job.arrival for job in one_by_one]
    assert columns.index.tolist() == [job.index for job in one_by_one]
    assert columns.prompt.tolist() == [job.prompt for job in one_by_one]
    assert columns.output.tolist() == [job.output for job in one_by_one]


def test_nobody_arrives_in_no_time():
    source = Source(name="s", service="chat", arrivals=POISSON, lengths=AzureLengths())
    assert len(job_columns(source, Stream(4), 0.0, 0.0)) == 0


def test_jobs_that_follow_others_are_no_columns():
    arrivals = ARRIVALS["closed"](users=2, think=1.0)
    with pytest.raises(ValueError, match="follow others"):
        job_columns(Source(name="s", service="chat", arrivals=arrivals, lengths=AzureLengths()), Stream(4), 0.0, 9.0)
