//! The sample: this workspace's own `app_lib`, with an empty handler besides.

use std::{collections::BTreeMap, fs, path::Path};

use shared::BoxError;

use super::{App, Change, Kind};

/// Reads it from the workspace.
pub(crate) fn app(workspace: &Path) -> Result<App, BoxError> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(workspace.join("app_lib/src"))? {
        let path = entry?.path();
        let text = fs::read_to_string(&path)?;
        files.insert(path.strip_prefix(workspace)?.to_owned(), text);
    }
    let routes = r#".route("/ping", get(ping::ping))"#;
    let lib = files
        .get_mut(Path::new("app_lib/src/lib.rs"))
        .filter(|lib| lib.contains(routes))
        .ok_or_else(|| format!("app_lib/src/lib.rs does not hold {routes}"))?;
    *lib = lib.replace(
        routes,
        &format!(r#"{routes}.route("/empty", get(async || ()))"#),
    );
    Ok(App {
        name: "sample",
        query: "/api/ping",
        files,
        change,
        rounds: [0; 3],
    })
}

fn change(kind: Kind, round: usize) -> Change {
    match kind {
        Kind::Literal => Change {
            path: "/".into(),
            marker: format!("Counters, round {round}"),
            replacements: vec![(
                r#"heading => "Counters""#,
                format!(r#"heading => "Counters, round {round}""#),
            )],
        },
        Kind::Signature => {
            let (parameter, borrowed) = match round % 2 {
                0 => ("String", ""),
                _ => ("&str", "&"),
            };
            Change {
                path: "/".into(),
                marker: format!("signed in round {round}"),
                replacements: vec![
                    (
                        "fn index(counters: Vec<Counter>, generation: u64)",
                        format!("fn index(counters: Vec<Counter>, generation: {parameter})"),
                    ),
                    (
                        "index(counters, app.generation)",
                        format!(
                            r#"index(counters, {borrowed}format!("{{}}, signed in round {round}", app.generation))"#
                        ),
                    ),
                ],
            }
        }
        Kind::Route => Change {
            path: format!("/api/counters/added-{round}"),
            marker: format!("round {round}:"),
            replacements: vec![
                (
                    r#".route("/", get(list).post(create))"#,
                    format!(
                        r#".route("/", get(list).post(create)).route("/added-{round}", get(added_{round}))"#
                    ),
                ),
                (
                    "async fn list(",
                    format!(
                        "async fn added_{round}(State(app): State<AppState>) -> Result<String, AppError> {{\n    \
                             Ok(format!(\"round {round}: {{}} counters\", all(&app.db).await?.len()))\n\
                         }}\n\nasync fn list("
                    ),
                ),
            ],
        },
    }
}
