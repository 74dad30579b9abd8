import Formats
import Foundation

/// The files of an unfinished stage: its last checkpoint, some that came before it, and its best weights.
extension Run {
  /// The last checkpoint of a stage, and then, as far as there are any, those before it.
  func stateFiles(_ stage: Stage) -> [String] {
    (0..<Self.mostCheckpoints).map { stateFile(stage, before: $0) }
  }

  func stateFile(_ stage: Stage, before: Int = 0) -> String {
    let suffix = before == 0 ? "" : before == 1 ? "-previous" : "-previous-\(before)"
    return "\(folder)/state/\(stage.rawValue)\(suffix).safetensors"
  }

  /// The averaged weights of the least validation loss.
  func bestFile(_ stage: Stage) -> String { "\(folder)/state/\(stage.rawValue)-best.safetensors" }

  static let mostCheckpoints = 100

  /// Makes room for a checkpoint, so that there will be `count` at most: the last one gets a second name,
  /// under which it stays when the next one is written. Where the file system has no such names there is
  /// none to fall back to.
  func keepState(_ stage: Stage, count: Int) {
    for path in stateFiles(stage).dropFirst(count) where has(path) {
      try? FileManager.default.removeItem(atPath: path)
    }
    guard count > 1, has(stateFile(stage)) else { return }
    for before in stride(from: count - 1, to: 1, by: -1) {
      rename(stateFile(stage, before: before - 1), stateFile(stage, before: before))
    }
    let previous = stateFile(stage, before: 1)
    try? FileManager.default.removeItem(atPath: previous)
    try? FileManager.default.linkItem(atPath: stateFile(stage), toPath: previous)
  }

  /// Puts an earlier state in the place of a damaged one.
  func restoreState(_ stage: Stage, from path: String) throws {
    guard rename(path, stateFile(stage)) == 0 else {
      throw FileError(file: stateFile(stage), problem: "cannot be replaced")
    }
  }

  /// A finished stage needs no state any more.
  func removeState(_ stage: Stage) throws {
    for path in stateFiles(stage) + [bestFile(stage)] { try remove(path) }
  }

  func remove(_ path: String) throws {
    guard !has(path) || unlink(path) == 0 else {
      throw FileError(file: path, problem: "cannot be removed")
    }
  }

  /// Removes what a training that was killed had half written into `state/`. Only for who has the
  /// lock.
  func removeTemporaries() {
    let names = try? FileManager.default.contentsOfDirectory(atPath: "\(folder)/state")
    for name in names ?? [] where name.hasPrefix(".") && name.hasSuffix(".tmp") {
      try? FileManager.default.removeItem(atPath: "\(folder)/state/\(name)")
    }
  }
}
