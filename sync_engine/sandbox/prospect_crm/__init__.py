"""The prospect CRM as a local server: meetings, prospects, notes, tasks, in both response generations."""

from sync_engine.sandbox.prospect_crm.sandbox import ProspectCrmSandbox

__all__ = ["ProspectCrmSandbox"]
