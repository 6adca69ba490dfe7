#!/bin/sh
# Runs once, in a new cluster: a database with an owner of its own for each service. One service per line: name, password.
set -eu
while read -r service password; do
    psql --username postgres --set ON_ERROR_STOP=1 --set service="$service" --set password="$password" <<'SQL'
create role :"service" login password :'password' connection limit 60;
create database :"service" owner :"service";
revoke all on database :"service" from public;
SQL
done < /run/secrets/postgres_setup
