"""The prospect CRM: a recruiter's meetings with prospects; no title, no end, one guest."""
