//! `dev/app`: the library that the host loads. It calls the user's function and holds nothing else.

use toml_edit::{DocumentMut, InlineTable, Value, value};

use super::Dev;
use crate::files::relative;

impl Dev<'_> {
    pub(super) fn app_manifest(&self) -> String {
        let template = include_str!("../../templates/dev/app.toml");
        let text = template.replace("@APP@", &self.free("dev_app"));
        let text = text.replace("shared.workspace", &format!("{}.workspace", self.shared()));
        let mut manifest: DocumentMut = text.parse().expect("the template is TOML");
        let dependencies = &mut manifest["dependencies"];
        for (name, requirement) in &self.wrapper.crates {
            let mut table = InlineTable::new();
            table.insert("version", requirement.trim_start_matches('^').into());
            table.insert("default-features", false.into()); // those of the project count
            dependencies[name] = value(table);
        }
        for theirs in &self.wrapper.theirs {
            let mut table = InlineTable::new();
            let requirement = theirs.req.to_string();
            table.insert("version", requirement.trim_start_matches('^').into());
            if !theirs.uses_default_features {
                table.insert("default-features", false.into());
            }
            if !theirs.features.is_empty() {
                let features = theirs.features.iter().map(String::as_str);
                table.insert("features", Value::Array(features.collect()));
            }
            dependencies[&theirs.name] = value(table);
        }
        let folder = self.package.manifest_path.as_std_path().parent();
        let root = self.project.root();
        let path = relative(&root.join("dev/app"), folder.unwrap_or(root));
        let mut theirs = InlineTable::new();
        theirs.insert("path", path.into());
        if let Some(features) = self.features_without_host() {
            theirs.insert("default-features", false.into());
            if !features.is_empty() {
                theirs.insert("features", Value::Array(features.into_iter().collect()));
            }
        }
        dependencies[self.package.name.as_str()] = value(theirs);
        manifest.to_string()
    }

    /// The default features but those that bring the production server, which the library does not need.
    fn features_without_host(&self) -> Option<Vec<String>> {
        let features = &self.package.features;
        let brings_host = |feature: &&String| {
            features
                .get(*feature)
                .is_some_and(|parts| parts.iter().any(|part| part == "dep:host"))
        };
        let default = features.get("default")?;
        default
            .iter()
            .any(|feature| brings_host(&feature))
            .then(|| {
                let others = default.iter().filter(|feature| !brings_host(feature));
                others.cloned().collect()
            })
    }

    pub(super) fn app(&self) -> String {
        include_str!("../../templates/dev/lib.rs")
            .replace("@PACKAGE@", &self.package.name)
            .replace("@SHARED@", self.shared())
            .replace(
                "@STATE@",
                if self.wrapper.uses_state {
                    "state"
                } else {
                    "_state"
                },
            )
            .replace("@BODY@", &self.wrapper.body)
    }
}
