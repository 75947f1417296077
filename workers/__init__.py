"""Workers: the Celery application, its thin tasks, and the schedule that wakes them."""
