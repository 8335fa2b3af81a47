"""`omnibridge setup`: makes accounts, declares the custom field, points the webhook at us; and takes it all back.

look (reads everything) -> judge (what is wrong) -> plan (steps) -> run; what was changed is kept in `record.py`.
"""
