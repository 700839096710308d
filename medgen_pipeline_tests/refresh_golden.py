"""`python -m medgen_pipeline_tests.refresh_golden`: take today's summaries as those to keep.

Review the difference; a refresh is a commit of its own, with the reason.
"""

from medgen_pipeline_tests.golden import refresh

if __name__ == "__main__":
    refresh()
