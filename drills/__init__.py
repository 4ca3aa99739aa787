"""The fault drill: known faults and benign changes as data, injected into a copy of the feed, judged week by week."""
