//! Measures the memory of code that is never unmapped, and decides when it is so much that the host must restart.
//!
//! Where the system does not provide the numbers (`/proc` is Linux only), nothing is shown and there is no limit.
//! Measures after a reload, never during one.

use std::{
    collections::HashSet,
    fs::File,
    io::{self, BufRead, BufReader},
    path::Path,
    time::Duration,
};

use tokio::{task::spawn_blocking, time};

use super::{Reload, publish::LIVE};
use crate::{
    events::{Images, Phase},
    generation::Stage,
};

/// How often to check whether the host is idle, while waiting for that.
const POLL: Duration = Duration::from_millis(50);

impl Reload {
    /// Measures, and returns once the memory exceeds the budget and the host is idle; otherwise never returns. The
    /// caller drops the future on a save.
    ///
    /// Idle means that no generation has a request and none is draining. A stream may never end, so this waits for at
    /// most `DRAIN_TIMEOUT_MS`; the restart then ends streams as any restart does.
    pub(super) async fn over_budget(&self) -> Images {
        let phase = self.report.borrow().phase;
        // Nothing was loaded, and reading the memory map of a process with thousands of images is slow.
        if phase == Phase::BuildFailed {
            return std::future::pending().await;
        }
        let folder = self.root().join(LIVE);
        // Blocking, so not on a runtime thread.
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
        // The live image is loaded again by the new process, so it alone must not cause a restart: that would loop.
        // And if the latest save is not live, the new process would have nothing to serve.
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
        if let Err(error) = self.may_restart() {
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

/// Measures the private memory of the images in `folder`: pages that relocation or the app has written to, resident or
/// swapped out. All other pages are backed by the file, and the system can reclaim them.
///
/// Measured per image and not as growth of the process, which includes caches of the app: they are not old code, and
/// may be back right after a restart. Mappings without a name are not included: large zeroed statics and the loader's
/// own data.
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
                // The file of an older image has been deleted.
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
