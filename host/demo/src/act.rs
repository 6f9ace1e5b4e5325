//! The three acts: what each claims, and whether the samples confirm it.

/// An act and what it claims.
pub(crate) struct Act {
    pub(crate) number: u8,
    pub(crate) title: &'static str,
    pub(super) pool: &'static str,
    pub(super) isolation: &'static str,
}

pub(crate) const ACTS: [Act; 3] = [
    Act {
        number: 1,
        title: "the leak: a pool in a static, on a runtime that outlives it",
        pool: "app",
        isolation: "off",
    },
    Act {
        number: 2,
        title: "the cure: the pool of the host",
        pool: "host",
        isolation: "on",
    },
    Act {
        number: 3,
        title: "beyond it: the same static, ended with its generation",
        pool: "app",
        isolation: "on",
    },
];

/// A sample taken after one save and one request.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    /// 0 for the request before the first save.
    pub(crate) reload: u32,
    pub(crate) generation: u64,
    pub(crate) backends: u64,
    /// Backends ever seen in this act.
    pub(crate) distinct_pids: usize,
    /// From `pg_stat_database`, so that sessions that came and went between two samples count too.
    pub(crate) sessions: Option<u64>,
    pub(crate) threads: u64,
    pub(crate) resident_kib: u64,
    pub(crate) http_status: u16,
    pub(crate) sqlstate: Option<String>,
    /// How many connections the app could have, if known.
    pub(crate) usable: Option<u64>,
}

impl Act {
    /// Whether the act did what it claims: a sentence either way.
    pub(crate) fn judge(&self, samples: &[Sample], reloads: u32) -> Result<String, String> {
        let (served, refused): (Vec<&Sample>, Vec<&Sample>) =
            samples.iter().partition(|sample| sample.sqlstate.is_none());
        if let Some(sample) = served.iter().find(|sample| sample.http_status != 200) {
            return Err(format!(
                "the request after reload {} was answered with {}",
                sample.reload, sample.http_status
            ));
        }
        let wanted = |reload: u32| {
            if self.number == 1 {
                u64::from(reload) + 1
            } else {
                1
            }
        };
        if let Some(sample) = served
            .iter()
            .find(|sample| sample.backends != wanted(sample.reload))
        {
            return Err(format!(
                "{} backends after reload {}, not {}",
                sample.backends,
                sample.reload,
                wanted(sample.reload)
            ));
        }
        let last = samples.last().ok_or("nothing was sampled")?;
        match (self.number, refused.first()) {
            (1, Some(refusal)) => {
                let (state, usable) = (
                    refusal.sqlstate.as_deref().unwrap_or_default(),
                    refusal.usable.unwrap_or_default(),
                );
                if state != "53300"
                    || refusal.http_status < 500
                    || u64::from(refusal.reload) != usable
                {
                    return Err(format!(
                        "refused at reload {} of {usable} with {state} and HTTP {}",
                        refusal.reload, refusal.http_status
                    ));
                }
                Ok(format!(
                    "+1 backend each reload; refused at reload {} with SQLSTATE {state}, HTTP {}",
                    refusal.reload, refusal.http_status
                ))
            }
            (1, None)
                if last
                    .usable
                    .is_some_and(|usable| u64::from(reloads) >= usable) =>
            {
                Err("PostgreSQL should have refused and did not".into())
            }
            (1, None) => Ok("+1 backend each reload; with more reloads PostgreSQL refuses".into()),
            (_, Some(refusal)) => Err(format!("refused at reload {}", refusal.reload)),
            (2, None) if last.distinct_pids != 1 => Err(format!(
                "{} different backends, not one",
                last.distinct_pids
            )),
            (2, None) => Ok(format!(
                "one backend from first to last, the same PID, over {} reloads",
                last.reload
            )),
            (_, None) if last.distinct_pids != samples.len() => Err(format!(
                "{} different backends over {} generations",
                last.distinct_pids,
                samples.len()
            )),
            (_, None) => Ok(format!(
                "{} generations opened a connection each, and each took its own along: one is left",
                samples.len()
            )),
        }
    }
}
