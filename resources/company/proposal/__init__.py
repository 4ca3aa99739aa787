"""What `make company` does: look at all rows of tables, propose a company's file with reasons, write the folder."""

from resources.company.proposal.propose import Proposal, propose
from resources.company.proposal.roles import ROLES
from resources.company.proposal.sources import FromError, landed
from resources.company.proposal.toml import file_text, recording_end, zone_said
from resources.company.proposal.write import refuse_existing, write

__all__ = [
    "ROLES", "FromError", "Proposal", "file_text", "landed", "propose", "recording_end", "refuse_existing", "write",
    "zone_said",
]  # fmt: skip
