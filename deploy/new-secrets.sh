#!/bin/sh
# Make the secrets of a new installation in ./secrets (or the folder named first); never touches one that exists.
# usage: new-secrets.sh [FOLDER [DATABASE_HOST [REDIS_HOST]]]
set -eu

folder=${1:-secrets}
database_host=${2:-postgres}
redis_host=${3:-redis}

# Containers read the files as users of their own, so the files are readable and the folder above them is closed.
umask 022
mkdir -p "$folder/providers"
chmod 700 "$folder"

random() { head -c 24 /dev/urandom | base64 | tr '+/' '-_'; }

keep() {
  if [ -e "$folder/$1" ]; then
    echo "kept      $folder/$1"
  else
    # No line break at the end: what makes a cluster's Secret of these files would keep it.
    printf '%s' "$2" > "$folder/$1"
    echo "written   $folder/$1"
  fi
}

keep postgres_password "$(random)"
keep redis_password "$(random)"
keep grafana_password "$(random)"
keep metrics_token "$(random)"
keep flower_login "operator:$(random)"
# 32 bytes in URL-safe base64: what sync-engine new-key prints.
keep secret_key "$(head -c 32 /dev/urandom | base64 | tr '+/' '-_')"
keep database_url "postgresql+psycopg://sync_engine:$(cat "$folder/postgres_password")@$database_host:5432/sync_engine"
keep redis_url "redis://:$(cat "$folder/redis_password")@$redis_host:6379/0"
keep redis_conf "requirepass $(cat "$folder/redis_password")"
# Where alerts go. This address takes none; write yours into the file.
keep alert_webhook_url "http://127.0.0.1:9/"
