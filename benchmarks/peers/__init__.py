"""One small app per stack: the site's three pages, and the pages that races are run against.

`install` gets what each stack needs, `stacks` starts it; the rest of this folder are the apps.
"""

import logging

logging.getLogger("waitress.queue").setLevel("ERROR")  # for all apps, as production.ini does
