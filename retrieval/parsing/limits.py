"""Limits on what a parser accepts, in one place, so that no upload can stop the server.

Knows no format.
"""

# About 2.5 million tokens and 8,000 passages; ten times the longest novel. Above it one document
# would hold an ingest worker for minutes and its KV would fill any disk budget.
MAX_TEXT_CHARS = 10_000_000

# A page costs PDFium about 10 ms and a few MB while it is open; 5,000 pages are under a minute.
MAX_PDF_PAGES = 5_000

# Main-content extraction is worse than linear: a table of 60,000 elements took 3.5 s, one list of
# 100,000 items did not end in eight minutes. Larger pages are read whole, which is linear.
MAX_EXTRACTED_ELEMENTS = 50_000

# Unicode normalisation sorts runs of combining marks in quadratic time (160,000 marks: 25 s).
# 30 is the longest run of the Unicode Stream-Safe Text Format; real scripts stay under 10.
MAX_COMBINING_RUN = 30

MAX_TITLE_CHARS = 200

# Office packages. Real ones unpack to 2 to 50 times their size and hold some hundred parts; a
# "bomb" of a few kilobytes unpacks to gigabytes. Small ones may be as dense as they like.
MAX_PACKAGE_PARTS = 20_000
MAX_UNPACKED_BYTES = 512 * 2**20
MAX_UNPACKED_RATIO = 200
UNPACKED_ANYWAY_BYTES = 32 * 2**20

# A row of a table up to this length is kept whole, about 250 tokens; a longer one is prose.
MAX_ROW_CHARS = 1_000
