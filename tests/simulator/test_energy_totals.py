"""Totals of accounts follow what happens to them."""

from hypothesis import given
from hypothesis import strategies as st

from edgewright.simulator.energy import Account, Total

EVENTS = st.lists(
    st.tuples(st.integers(0, 2), st.floats(0.0, 5.0), st.sampled_from(["change", "put", "settle"]), st.integers(-8, 8)), max_size=30
)


@given(EVENTS)
def test_a_total_is_the_sum_of_its_accounts_times_their_gains(events):
    """Watts and joules in whole numbers, gains in powers of two, times in quarters: sums are exact."""
    accounts, gains = [Account(float(watts)) for watts in (0, 3, 7)], [1.0, 2.0, 0.5]
    total, now = Total(), 1.0
    accounts[0].put(5.0)
    for account, gain in zip(accounts, gains, strict=True):
        account.join(total, gain, now)
    for index, wait, what, amount in events:
        now += round(wait * 4) / 4
        if what == "change":
            accounts[index].change(float(amount), now)
        elif what == "put":
            accounts[index].put(float(amount))
        else:
            accounts[index].settle(now)
    assert total.joules(now) == sum(account.settle(now) * gain for account, gain in zip(accounts, gains, strict=True))
