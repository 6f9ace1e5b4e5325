//! What code that is never unmapped keeps in memory, and when that is so much that the host starts anew.
//!
//! Owns the measurement and the choice of the moment. Refuses to guess: where the system does not tell (`/proc` is
//! Linux), nothing is shown and nothing is bounded. Looks after a reload and never within one.

use std::{
    collections::HashSet,
    fs::File,
    io::{self, BufRead, BufReader},
    path::Path,
    time::Duration,
};

use tokio::{task::spawn_blocking, time};

use super::{Images, Phase, Reload, publish::LIVE};
use crate::generation::Stage;

/// How often it is looked whether a moment of rest has come. Only while one is waited for.
const POLL: Duration = Duration::from_millis(50);

impl Reload {
    /// Measures, and returns if that is past the budget and the moment is right; else never. A save cancels it.
    ///
    /// The moment: no request inside any generation, none on its way out. A stream may never end, so the moment is
    /// waited for no longer than `DRAIN_TIMEOUT_MS`: then those inside are asked to end, as by any restart.
    pub(super) async fn over_budget(&self) -> Images {
        let phase = self.report.borrow().phase;
        // Nothing was loaded, and reading the map of a process that has thousands of images takes its time.
        if phase == Phase::BuildFailed {
            return std::future::pending().await;
        }
        let folder = self.root.join(LIVE);
        // Neither on a thread that serves.
        let images = match spawn_blocking(move || measure(&folder)).await {
            Ok(Ok(images)) => images,
            unknown => {
                tracing::debug!("what kept code uses is not known: {unknown:?}");
                return std::future::pending().await;
            }
        };
        self.report
            .send_modify(|report| report.images = Some(images));
        let past = self
            .keep_memory_mb
            .is_some_and(|budget| images.memory_kb > budget << 10);
        // The one that is live would be loaded again: alone it is no reason, or there would be no end of restarts.
        // And if the latest save is not live, the next process would have nothing to serve.
        if !past || images.kept < 2 || phase != Phase::Active {
            return std::future::pending().await;
        }
        let limit = self.settings.borrow().env.drain_timeout;
        let idle = async {
            while !self.is_idle() {
                time::sleep(POLL).await;
            }
        };
        if time::timeout(limit, idle).await.is_err() {
            tracing::debug!("no moment of rest within {} ms", limit.as_millis());
        }
        if let Err(error) = (self.may_restart)() {
            tracing::warn!(
                "{images}; a restart would fail: {error}; trying again after the next reload"
            );
            return std::future::pending().await;
        }
        images
    }

    fn is_idle(&self) -> bool {
        let (_, generations) = self.generations.snapshots();
        generations
            .iter()
            .all(|generation| generation.in_flight == 0 && generation.state != Stage::Draining)
    }
}

/// Of the images in `folder`, what they have of their own: pages that relocation or the app has written to, in memory
/// or swapped out. The rest is the file's and costs nothing that the system could not take back.
///
/// By image, and not as the growth of the process: that grows by what the app caches too, which is no old code, and
/// may be there again right after a restart. Left out is what has no name in the map: zeroed statics beyond a page,
/// and the loader's books.
fn measure(folder: &Path) -> io::Result<Images> {
    let mut map = BufReader::new(File::open("/proc/self/smaps")?);
    let (mut paths, mut memory_kb, mut is_image) = (HashSet::new(), 0, false);
    let mut line = Vec::new();
    while map.read_until(b'\n', &mut line)? > 0 {
        let text = String::from_utf8_lossy(&line);
        match text.split_once(' ') {
            // A mapping begins: range, permissions, offset, device, inode and path; then come its fields.
            Some((range, rest)) if !range.ends_with(':') => {
                let path = rest.splitn(5, ' ').nth(4).unwrap_or_default().trim();
                // Their files are gone as soon as there is a newer one.
                let path = path.trim_end_matches(" (deleted)");
                is_image = Path::new(path).starts_with(folder);
                if is_image {
                    paths.insert(path.to_owned());
                }
            }
            Some(("Anonymous:" | "Swap:", value)) if is_image => {
                let kilobytes = value.trim().trim_end_matches(" kB");
                memory_kb += kilobytes.parse::<u64>().unwrap_or_default();
            }
            _ => {}
        }
        line.clear();
    }
    Ok(Images {
        kept: paths.len(),
        memory_kb,
    })
}
