"""Reports: what jobs did, as one HTML file that needs nothing else.

* :func:`write_report`: of every job in a folder and below;
* :func:`find_jobs`, :class:`Job`: their manifests; :class:`PictureViews`, :class:`ViewReader`: what there is to see of
  one input.
"""

from shufflecam.report.jobs_found import Job, ReportError, find_jobs
from shufflecam.report.page import write_report
from shufflecam.report.picture_views import PictureViews, ViewReader

__all__ = ["Job", "PictureViews", "ReportError", "ViewReader", "find_jobs", "write_report"]
