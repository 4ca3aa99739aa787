"""The bundled company, as the tests that are about it know it."""

from resources.company import Company, load
from resources.company.choice import BUNDLED, folder_of
from steps.problem import problem_of

COMPANY: Company = load(folder_of(BUNDLED))
PROBLEM = problem_of(COMPANY)
CATALOGUE, FEATURES = PROBLEM.catalogue, list(PROBLEM.features)
RECORDING_ENDS = str(COMPANY.recording_ends and COMPANY.recording_ends.isoformat())
"""The morning after the last day of the recorded year."""
