"""Where the data lies: inside an installed wheel, or beside `src` in a checkout."""

from __future__ import annotations

from paddlevl_doctor.data_files import data_folder

__all__ = ["data_folder"]
