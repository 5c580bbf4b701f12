//! The API as its descriptors tell it, comments included.

use std::collections::BTreeMap;

use prost::Message as _;
use prost_types::{FileDescriptorProto, FileDescriptorSet};

/// The package of the API.
pub(crate) const PACKAGE: &str = "stationmaster.v1";

/// Our files of the descriptor set; not those of Google that they import.
pub(crate) fn files() -> Vec<FileDescriptorProto> {
    let set = FileDescriptorSet::decode(stationmaster::pb::DESCRIPTORS).unwrap();
    let ours = |file: &FileDescriptorProto| file.package() == PACKAGE;
    let files: Vec<_> = set.file.into_iter().filter(ours).collect();
    assert!(!files.is_empty(), "a law that reads nothing holds nothing");
    files
}

/// The comments of a file by the path of what they stand on, as `descriptor.proto` numbers it.
#[derive(Debug)]
pub(crate) struct Comments(BTreeMap<Vec<i32>, String>);

impl Comments {
    pub(crate) fn of(file: &FileDescriptorProto) -> Self {
        let locations = file.source_code_info.iter().flat_map(|info| &info.location);
        let comment = |location: &prost_types::source_code_info::Location| {
            let text = location.leading_comments().trim().to_owned();
            (location.path.clone(), text)
        };
        Self(
            locations
                .map(comment)
                .filter(|(_, text)| !text.is_empty())
                .collect(),
        )
    }

    /// What stands on it; empty when nothing does.
    pub(crate) fn at(&self, path: &[i32]) -> &str {
        self.0.get(path).map_or("", String::as_str)
    }
}

/// One method of the API.
#[derive(Debug)]
pub(crate) struct Rpc {
    pub(crate) service: String,
    pub(crate) name: String,
    pub(crate) comment: String,
}

/// Every method, in the order of the files.
pub(crate) fn rpcs(files: &[FileDescriptorProto]) -> Vec<Rpc> {
    let mut rpcs = Vec::new();
    for file in files {
        let comments = Comments::of(file);
        for (s, service) in (0..).zip(&file.service) {
            for (m, method) in (0..).zip(&service.method) {
                rpcs.push(Rpc {
                    service: service.name().to_owned(),
                    name: method.name().to_owned(),
                    comment: comments.at(&[6, s, 2, m]).to_owned(),
                });
            }
        }
    }
    rpcs
}
