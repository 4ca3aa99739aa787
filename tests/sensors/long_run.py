"""A command whose run takes as long as it is let: `python long_run.py [sole]`, with BATON_HOME set."""

import sys
import time

import dagster as dg

from commands.session import execute, instance


@dg.op
def work():
    sys.stdout.write("working\n")
    sys.stdout.flush()
    time.sleep(600)


@dg.job
def long():
    work()


if __name__ == "__main__":
    with instance(sole="sole" in sys.argv) as opened:
        execute(opened, dg.Definitions(jobs=[long]), "long", console="CRITICAL")
