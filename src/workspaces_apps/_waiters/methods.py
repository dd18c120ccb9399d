"""The waiters, as methods of the client."""

from workspaces_apps._waiters.deployment_methods import DeploymentMethods
from workspaces_apps._waiters.job_methods import JobMethods
from workspaces_apps._waiters.resource_methods import ResourceMethods


class Waiters(DeploymentMethods, JobMethods, ResourceMethods):
    """The methods of the client that take longer than a call."""
