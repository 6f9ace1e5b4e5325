//! Statements and what they do.

use super::{Effects, Left, Listen, effects_of};

fn alone() -> Effects {
    Effects {
        alone: true,
        ..Effects::default()
    }
}

#[test]
fn reads_and_writes_run_between_those_of_others() {
    for sql in [
        "",
        ";",
        "SELECT 1",
        "(select 1)",
        "-- why\nWITH a AS (SELECT 1) SELECT * FROM a;",
        "INSERT INTO temp VALUES (1)",
        "INSERT INTO temp SELECT 1",
        "SELECT 1 INTO temp FROM a",
        "UPDATE a SET b = 'set_config('; DELETE FROM a",
        "SELECT pg_advisory_xact_lock(1)",
        "SELECT lock FROM pg_advisory_lock",
    ] {
        assert_eq!(effects_of(sql), Effects::default(), "{sql}");
    }
    for sql in [
        "BEGIN",
        "CREATE TABLE template ()",
        "CREATE TABLE a AS SELECT temp FROM b",
        "SET LOCAL a = 1",
        "SET TRANSACTION READ ONLY",
        "DECLARE a CURSOR FOR SELECT 1",
    ] {
        assert_eq!(effects_of(sql), alone(), "{sql}");
    }
}

#[test]
fn what_the_next_statement_must_wait_for_is_known() {
    for sql in [
        "COMMIT",
        "SELECT 1; end",
        "rollback",
        "ABORT",
        "PREPARE TRANSACTION 'a'",
    ] {
        let ends = Effects {
            ends: true,
            ..alone()
        };
        assert_eq!(effects_of(sql), ends, "{sql}");
    }
    let copies = Effects {
        copies: true,
        ..alone()
    };
    assert_eq!(effects_of("COPY a FROM STDIN"), copies);
}

#[test]
fn changed_settings_are_named() {
    for (sql, names) in [
        ("SET search_path = x", &["search_path"][..]),
        ("set session Search_Path to x", &["search_path"]),
        ("SET my.own TO 'x'", &["my.own"]),
        ("SET \"my\".own = 'x'", &["my.own"]),
        ("SET TIME ZONE 'UTC'", &["timezone"]),
        ("SET NAMES 'UTF8'", &["client_encoding"]),
        (
            "SET SESSION AUTHORIZATION me",
            &["session_authorization", "role"],
        ),
        ("SET ROLE me; RESET work_mem", &["role", "work_mem"]),
        ("SELECT set_config('A.b', $1, false)", &["a.b"]),
    ] {
        let settings = names.iter().map(|&name| name.to_owned()).collect();
        assert_eq!(
            effects_of(sql),
            Effects {
                settings,
                ..alone()
            },
            "{sql}"
        );
    }
    for sql in [
        "UPDATE pg_settings SET setting = '8MB' WHERE name = 'Work_mem'",
        "WITH a AS (update \"pg_catalog\".\"pg_settings\" SET setting = '8MB' WHERE name = 'Work_mem' RETURNING 1) SELECT 1",
    ] {
        let expected = Effects {
            settings: vec!["8mb".to_owned(), "work_mem".to_owned()],
            resets_settings: true,
            ..alone()
        };
        assert_eq!(effects_of(sql), expected, "{sql}");
    }
    assert_eq!(effects_of("SELECT * FROM pg_settings"), Effects::default());
    for sql in ["RESET ALL", "SELECT set_config($1, $2, false)"] {
        let expected = Effects {
            resets_settings: true,
            ..alone()
        };
        assert_eq!(effects_of(sql), expected, "{sql}");
    }
}

#[test]
fn what_lasts_as_long_as_the_session_is_named() {
    for (sql, left) in [
        ("select Pg_Advisory_Lock(1)", Left::Lock),
        ("SELECT pg_try_advisory_lock_shared($1)", Left::Lock),
        ("create temporary table t ()", Left::TemporaryTable),
        (
            "CREATE OR REPLACE TEMP VIEW v AS SELECT 1",
            Left::TemporaryTable,
        ),
        (
            "CREATE TABLE IF NOT EXISTS pg_temp.t (a int)",
            Left::TemporaryTable,
        ),
        ("SELECT a INTO TEMP t FROM b", Left::TemporaryTable),
        ("SELECT 1 INTO LOCAL TEMP TABLE t", Left::TemporaryTable),
        ("PREPARE a AS SELECT 1", Left::PreparedStatement),
        ("DECLARE a CURSOR WITH HOLD FOR SELECT 1", Left::Cursor),
        ("LOAD 'auto_explain'", Left::Library),
    ] {
        let effects = effects_of(sql);
        assert_eq!(effects.session, Some(left), "{sql}");
    }
}

#[test]
fn channels_are_named_as_postgresql_folds_them() {
    let listens = |sql| effects_of(sql).listens;
    assert_eq!(listens("LISTEN News"), [Listen::On("news".into())]);
    assert_eq!(listens("LISTEN \"News\""), [Listen::On("News".into())]);
    assert_eq!(
        listens("UNLISTEN a; UNLISTEN *"),
        [Listen::Off("a".into()), Listen::AllOff]
    );
    assert!(effects_of("DISCARD ALL").forgets_statements);
    assert!(effects_of("DEALLOCATE PREPARE ALL").forgets_statements);
    assert!(!effects_of("DEALLOCATE a").forgets_statements);
}
