"""Folder jobs: one engine for every verb that works on many inputs.

* :class:`Work`: what a verb does to one input; :class:`Made`: what became of it; :class:`JobKey`: the key it uses;
* :func:`run_job`: all inputs, on the cores of this machine or on a Dask cluster, with a manifest that later runs
  resume from; :class:`Settings`, :class:`Summary`: how, and what came of it;
* :func:`read_manifest`, :class:`Record`: what is known of every output, for reports; its module has the schema.
"""

from shufflecam.jobs.engine import Settings, Summary, run_job
from shufflecam.jobs.errors import JobError
from shufflecam.jobs.job_key import JobKey
from shufflecam.jobs.manifest import MANIFEST, Record, read_manifest
from shufflecam.jobs.work import Made, Work

__all__ = [
    "MANIFEST",
    "JobError",
    "JobKey",
    "Made",
    "Record",
    "Settings",
    "Summary",
    "Work",
    "read_manifest",
    "run_job",
]
