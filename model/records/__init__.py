"""The smallest records that decide, a file per chapter, with the transitions that CrossHair proves."""
