"""`python -m paddlevl_doctor` is the same program as `paddlevl-doctor`."""

from paddlevl_doctor.cli import main

if __name__ == "__main__":
    main()
