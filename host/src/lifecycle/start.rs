//! What must exist before anything runs: settings, the project's lock, a socket, a database location.
//!
//! Problems that only the user can fix stop the start here, with one message. Temporary ones, such as a server that
//! does not answer, are waited for later, while the host already answers requests.

use std::{
    net::{SocketAddr, TcpListener},
    sync::Arc,
    time::Instant,
};

use shared::{BoxError, db::trace, env::Env};

use super::restart::{Carried, Inherited};
use crate::{
    config::{Flags, HostSettings, Lock, Mode, Options, Project, settings},
    database::{Database, find_or_fetch},
    events::{Event, Events},
    reload::Image,
    server::listen,
};

/// Everything needed to start the host.
pub(crate) struct Start {
    pub(crate) since: Instant,
    pub(crate) flags: Flags,
    pub(crate) settings: HostSettings,
    /// From the previous image of this process.
    pub(crate) carried: Carried,
    pub(crate) project: Project,
    pub(crate) env: Arc<Env>,
    /// The host's own files, recorded before they could change.
    pub(crate) image: Image,
    /// From here on no connection is refused: the kernel queues them.
    pub(crate) listener: TcpListener,
    pub(crate) address: SocketAddr,
    /// Not started yet.
    pub(crate) database: Database,
    /// Released after the database has stopped, so that a new host does not mistake its server for an orphan.
    pub(crate) lock: Lock,
}

impl Start {
    /// PostgreSQL may have to be fetched, with `say` and `ask` as [`find_or_fetch`] takes them. Awaited on the main thread.
    pub(crate) async fn new(
        options: Options,
        events: &Events,
        say: &mut dyn FnMut(String),
        ask: impl AsyncFnOnce(String) -> bool,
    ) -> Result<Self, BoxError> {
        let since = Instant::now();
        let Inherited { listener, carried } = Inherited::take().map_err(|error| {
            format!("cannot use what the process before the restart left: {error}")
        })?;
        let mut project = Project::find()?;
        // Paths in backtraces and files that the app opens are relative to the root, wherever the host was started.
        std::env::set_current_dir(project.root())?;
        let flags = options.flags.0;
        let switched = carried.mode.map(Mode::switched);
        let switched = switched.as_ref().map_or(&[][..], |switched| switched);
        let (env, settings) = settings::read_dev(&project, project.dotenv()?, &flags, switched)?;
        project.configure(&settings);
        settings.check_branch_databases(&env)?;
        if settings.branch_databases {
            project.follow_branches().map_err(|error| {
                format!("each branch is to have a database (HOST_BRANCH_DATABASES), and {error}")
            })?;
        }
        // Before the log is filtered for it.
        trace::enable(settings.traces > 0);
        let env = Arc::new(env);
        if let Some(unread) = env.unread() {
            events.emit(Event::SettingsUnread {
                message: unread.to_string(),
            });
        }
        let image = Image::of_this_process()?;
        let lock = project.lock()?;

        let listener = match listener {
            Some(listener) => listener,
            None => listen::bind(env.host, env.port)?,
        };
        let address = listener.local_addr()?;
        lock.announce(address)?;

        let database = match settings.database {
            true => {
                let find = || Database::find(&project, &env, settings.mode.max_connections());
                find_or_fetch(find, settings.download, say, ask).await?
            }
            false if settings.mode.is_demonstration() => {
                return Err("this mode demonstrates connections to a database, and HOST_DATABASE is none: drop one of the two".into());
            }
            false => Database::absent(),
        };
        Ok(Self {
            since,
            flags,
            settings,
            carried,
            project,
            env,
            image,
            listener,
            address,
            database,
            lock,
        })
    }
}
