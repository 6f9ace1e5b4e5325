//! The table of settings: those of the app and of production, and those of the dev server alone.
//!
//! Each stands once. The command line, the reading of variables, the dashboard's panel, `.env.example` and
//! `host/docs/settings.md` come from here; a test compares the two files.

use shared::env::{HOST, PORT, Setting};

#[cfg(feature = "dev")]
use super::dev_table::{
    EDITOR_URL, HOST_ALLOW, HOST_BAR, HOST_BRANCH_DATABASES, HOST_DATABASE, HOST_DOWNLOAD,
    HOST_HOLD_MS, HOST_ISOLATION, HOST_KEEP_MEMORY_MB, HOST_MAX_CONNECTIONS, HOST_MCP,
    HOST_MIGRATE, HOST_MIGRATIONS, HOST_MORPH, HOST_POOL, HOST_REPLAY, HOST_SEEDS, HOST_TEST,
    HOST_TRACES, HOST_WATCH,
};

/// A flag that sets a variable.
pub(crate) struct Flag {
    pub(crate) setting: &'static Setting,
    /// Without the dashes.
    pub(crate) long: &'static str,
    pub(crate) short: Option<char>,
    /// Another that sets it to `off`.
    pub(crate) negation: Option<&'static str>,
    /// What stands for its value in the help.
    pub(crate) value: &'static str,
    /// May be given several times.
    pub(crate) repeats: bool,
}

const fn flag(setting: &'static Setting, long: &'static str, value: &'static str) -> Flag {
    Flag {
        setting,
        long,
        short: None,
        negation: None,
        value,
        repeats: false,
    }
}

/// The flags of every command that serves.
pub(crate) static FLAGS: [Flag; 2] = [
    flag(&HOST, "host", "ADDRESS"),
    Flag {
        short: Some('p'),
        ..flag(&PORT, "port", "PORT")
    },
];

/// The further flags of `host dev`, one for each setting of the dev server.
#[cfg(feature = "dev")]
pub(crate) static DEV_FLAGS: [Flag; 20] = [
    flag(&HOST_DATABASE, "database", "postgres|none"),
    Flag {
        negation: Some("no-download"),
        ..flag(&HOST_DOWNLOAD, "download", "ask|on|off")
    },
    flag(&HOST_MIGRATIONS, "migrations", "FOLDER|none"),
    Flag {
        repeats: true,
        ..flag(&HOST_WATCH, "watch", "FOLDER")
    },
    flag(&HOST_POOL, "pool", "host|app"),
    flag(&HOST_ISOLATION, "isolation", "on|off"),
    flag(&HOST_MAX_CONNECTIONS, "max-connections", "NUMBER"),
    flag(&HOST_MIGRATE, "migrate", "auto|ask"),
    flag(&HOST_BRANCH_DATABASES, "branch-databases", "on|off"),
    flag(&HOST_SEEDS, "seeds", "FOLDER"),
    flag(&HOST_HOLD_MS, "hold", "MS"),
    flag(&HOST_REPLAY, "replay", "on|off"),
    flag(&HOST_TEST, "test", "on|off"),
    flag(&HOST_KEEP_MEMORY_MB, "keep-memory", "MB"),
    flag(&HOST_TRACES, "traces", "NUMBER"),
    flag(&HOST_BAR, "bar", "on|off"),
    flag(&HOST_MORPH, "morph", "on|off"),
    flag(&HOST_MCP, "mcp", "on|off"),
    flag(&EDITOR_URL, "editor-url", "TEMPLATE"),
    Flag {
        repeats: true,
        ..flag(&HOST_ALLOW, "allow-host", "NAME")
    },
];

#[cfg(all(test, feature = "dev"))]
mod tests {
    use std::{fs, path::Path};

    use shared::env::{Change, SETTINGS};

    use super::*;

    fn all() -> impl Iterator<Item = (&'static Setting, Option<&'static Flag>)> {
        let of_the_app = SETTINGS.iter().map(|setting| {
            let flag = FLAGS
                .iter()
                .find(|flag| flag.setting.variable == setting.variable);
            (*setting, flag)
        });
        of_the_app.chain(DEV_FLAGS.iter().map(|flag| (flag.setting, Some(flag))))
    }

    /// Compares a file with what the table says it is; with `UPDATE_DOCUMENTS` set, writes it.
    fn is_as_generated(file: &str, generated: &str) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
        if std::env::var_os("UPDATE_DOCUMENTS").is_some() {
            fs::write(&path, generated).expect("the file can be written");
        }
        let written = fs::read_to_string(&path).unwrap_or_default();
        assert!(
            written == generated,
            "{file} differs from the table; write it again: UPDATE_DOCUMENTS=1 cargo test -p host --lib table"
        );
    }

    #[test]
    fn the_example_of_dotenv_lists_every_setting() {
        let mut text = "\
# Copy to .env and uncomment what you need. The environment wins over this file, a flag over both. Under `cargo dev` the
# app can read all of it with std::env::var, including variables of your own; a save takes effect.
"
        .to_owned();
        for (setting, flag) in all() {
            let flag = flag.map_or_else(String::new, |flag| format!(" (--{})", flag.long));
            text.push_str(&format!("\n# {}{flag}\n", setting.help));
            for line in setting.note.lines() {
                text.push_str(&format!("# {line}\n"));
            }
            text.push_str(&format!("# {}={}\n", setting.variable, setting.example));
        }
        is_as_generated("../.env.example", &text);
    }

    #[test]
    fn the_documents_list_every_setting() {
        let mut text = "\
# Settings

A flag wins over the environment, which wins over `.env`. `host serve` reads no `.env`: production has an environment.
All faults of a start are reported together.

| variable | flag | default | what it is | a change of `.env` |
|---|---|---|---|---|
"
        .to_owned();
        for (setting, flag) in all() {
            let flag = flag.map_or_else(String::new, |flag| {
                let short = flag
                    .short
                    .map_or_else(String::new, |short| format!("`-{short}`, "));
                format!(
                    "{short}`--{} {}`",
                    flag.long,
                    flag.value.replace('|', "\\|")
                )
            });
            let default = match setting.default {
                "" => String::new(),
                default => format!("`{default}`"),
            };
            let change = match setting.change {
                Change::Pool => "replaces the pool",
                Change::Generation => "the next generation gets it",
                Change::Restart => "waits for the next start",
            };
            text.push_str(&format!(
                "| `{}` | {flag} | {default} | {} | {change} |\n",
                setting.variable, setting.help
            ));
        }
        is_as_generated("docs/settings.md", &text);
    }

    #[test]
    fn no_setting_or_flag_stands_twice() {
        let mut names: Vec<&str> = all().map(|(setting, _)| setting.variable).collect();
        names.extend(all().filter_map(|(_, flag)| Some(flag?.long)));
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
