# The commands of this project. `cargo dev` and `cargo test` work without `just`.

# List the recipes
default:
    @just --list --unsorted

# Serve the app and reload it on every save; flags are passed on: just dev --port 4000
dev *flags:
    cargo dev {{ flags }}

# The leak: the pool in a static of the app. Edit, save, open the page, and watch the connections climb
leak *flags:
    cargo dev --pool app --isolation off {{ flags }}

# Run the whole demonstration: the leak, its cure, and what lies beyond; --help for its flags
demo *flags:
    cargo build --quiet --profile hot
    cargo build --quiet --profile hot --package host_demo
    target/hot/demo {{ flags }}

# Watch generation, backends and PID of the running server, in a second terminal
connections:
    cargo host connections

# Run the tests; arguments are passed on
test *arguments:
    cargo test --workspace {{ arguments }}

# Measure reads per second of the one shared connection, compared with pools
bench-db:
    cargo bench --quiet --package host --bench db

# Measure the same drivers at the server's own socket and through the one connection
bench-wire *flags:
    cargo bench --quiet --package host_wire --bench wire {{ flags }}

# Measure the time from save to live, compared with cargo alone, a restarting watcher and hot-lib-reloader; requests per second; memory; --help for its flags
bench-reload *flags:
    cargo bench --quiet --package host --bench reload -- {{ flags }}

# Take the screenshots of the documents again, in a real browser
screenshots:
    cargo test --test it -- seen:: dashboard:: readers::
    cp target/tmp/screenshots/overlay-dark.png host/assets/overlay.png
    cp target/tmp/screenshots/overview.png host/assets/dashboard.png
    cp target/tmp/screenshots/leak-light.png host/assets/leak.png
    cp target/tmp/screenshots/documented-request.png host/assets/request.png
    cp target/tmp/screenshots/documented-logs.png host/assets/logs.png
    cp target/tmp/screenshots/documented-sql.png host/assets/sql.png

# Check formatting, clippy, packages and rustdoc, with warnings denied
lint:
    cargo fmt --all --check
    cargo clippy --quiet --workspace --all-targets -- --deny warnings
    cargo clippy --quiet --package host --no-default-features --features bundled-app -- --deny warnings
    cargo clippy --quiet --package host --lib --no-default-features --features production -- --deny warnings
    cargo clippy --quiet --package host --no-default-features --features bundled-app,otlp -- --deny warnings
    cargo clippy --quiet --package host --lib --features otlp -- --deny warnings
    cargo package --quiet --allow-dirty --workspace --no-verify --exclude-lockfile
    cargo package --quiet --allow-dirty --manifest-path shared/dylib/Cargo.toml --no-verify --exclude-lockfile --target-dir target
    cargo package --quiet --allow-dirty --package host_cli
    RUSTDOCFLAGS="--deny warnings" cargo doc --quiet --workspace --no-deps --document-private-items

# Run what CI runs
ci: lint test

# Build the production binary: target/release/host, static, without the dev server
build:
    cargo build --release --package host --no-default-features --features bundled-app

# Build and run the production binary; needs DATABASE_URL
serve *flags: build
    target/release/host serve {{ flags }}

# Apply pending migrations
migrate:
    cargo host migrate

# Create the next file in migrations/: just migration add_colour
migration name:
    cargo host migration {{ quote(name) }}

# Open psql on the development database; arguments are passed on
[positional-arguments]
psql *arguments:
    cargo host psql "$@"

# Drop everything in the development database, migrate again and run seeds/
db-reset *flags:
    cargo host db-reset {{ flags }}

# Keep a copy of the private database as it is now
db-snapshot name="latest":
    cargo host db-snapshot {{ quote(name) }}

# Put that copy in its place
db-restore name="latest":
    cargo host db-restore {{ quote(name) }}
