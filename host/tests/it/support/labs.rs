//! Labs that tests start with, compiled once for all: one build for each takes a minute of the whole run.
//!
//! Each is a module of one library, and a file in the checkout selects it. The sources there are those of the test's
//! lab alone, as old as the library, so that cargo builds nothing at the start and a save compiles what it did before.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    path::{Path, PathBuf},
    sync::OnceLock,
};

use super::{Checkout, checkout::module, mirror::mirror, seed::run};

const LIBRARY: &str = "app_lib/src/lib.rs";
const LAB: &str = "app_lib/src/lab.rs";

/// Where the host builds; nothing in there is watched.
const BUILD: &str = "target/hot";

/// Says which lab an app answers with.
const SELECTED: &str = "target/hot/lab";

/// A lab that is compiled with the others, see [`lab!`].
#[derive(Clone, Copy)]
pub(crate) struct Lab(pub(crate) fn() -> String);

inventory::collect!(Lab);

/// Compiles these routes, which must not use a local variable, before the first test that starts with such a lab. For
/// tests in which neither the build at the start nor a place in the code matters.
macro_rules! lab {
    ($routes:expr $(,)?) => {{
        fn text_of_the_lab() -> String {
            String::from($routes)
        }
        inventory::submit! { $crate::support::Lab(text_of_the_lab) }
        $crate::support::Lab(text_of_the_lab)
    }};
}
pub(crate) use lab;

struct Built {
    checkout: Checkout,
    texts: Vec<String>,
}

/// In a checkout that is never given back.
fn built() -> &'static Built {
    static BUILT: OnceLock<Built> = OnceLock::new();
    BUILT.get_or_init(|| {
        // Some are those of several tests.
        let texts: BTreeSet<String> = inventory::iter::<Lab>().map(|lab| lab.0()).collect();
        let texts = Vec::from_iter(texts);
        let modules = (0..).zip(&texts).map(|(number, text)| {
            let code = module(text);
            format!("#[allow(warnings)] mod lab_{number} {{ {code} }}\n")
        });
        let arms = (0..texts.len()).map(|number| format!("\"{number}\" => lab_{number}::routes(), "));
        let (modules, arms): (String, String) = (modules.collect(), arms.collect());
        let select = format!(
            "match std::fs::read_to_string({SELECTED:?}).unwrap().as_str() {{ {arms} _ => unreachable!() }}"
        );
        let checkout = Checkout::new();
        checkout.add_lab(&select);
        let lab = fs::read_to_string(checkout.path(LAB)).unwrap();
        checkout.write(LAB, &format!("{lab}{modules}"));
        run(checkout.command("cargo").args(["build", "--quiet", "--profile", "hot"]));
        Built { checkout, texts }
    })
}

impl Checkout {
    /// Adds a lab that needs no build before its first save.
    pub(crate) fn add_built_lab(&self, lab: Lab) {
        let Built { checkout, texts } = built();
        let text = lab.0();
        let number = texts.iter().position(|it| *it == text);
        self.add_lab(&text);
        for part in of_the_app(&checkout.path(BUILD)) {
            let relative = part.strip_prefix(checkout.path(BUILD)).unwrap();
            mirror(&part, &self.path(BUILD).join(relative));
        }
        for source in [LIBRARY, LAB] {
            let age = fs::metadata(checkout.path(source)).unwrap().modified();
            let file = File::options().write(true).open(self.path(source)).unwrap();
            file.set_modified(age.unwrap()).unwrap();
        }
        let number = number.expect("all labs are collected");
        self.write(SELECTED, &number.to_string());
    }
}

/// What cargo made of the app, in its build folder.
fn of_the_app(build: &Path) -> Vec<PathBuf> {
    let folders = ["", "deps", ".fingerprint"];
    let entries = folders.map(|folder| fs::read_dir(build.join(folder)).unwrap());
    let paths = entries
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().path());
    paths
        .filter(|path| {
            let name = path.file_name().unwrap().to_string_lossy();
            name.starts_with("app_lib") || name.starts_with("libapp_lib")
        })
        .collect()
}
