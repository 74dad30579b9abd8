import Formats
import Foundation

/// `metrics.jsonl`: one JSON object a line, appended as training goes on.
struct Metrics {
  let path: String
  private let handle: FileHandle

  /// Opens the file of a run, and drops lines of `stage` that lie after `step`: on resuming, those
  /// steps are made again.
  init(_ run: Run, resuming stage: Stage, at step: Int) throws {
    path = run.metricsFile
    let bytes = run.has(path) ? try File.read(path) : []
    let newline = UInt8(ascii: "\n")
    let kept = bytes.split(separator: newline).filter { line in
      guard let object = try? JSONSerialization.jsonObject(with: Data(line)),
        let entry = object as? [String: Any], let lineStep = entry["step"] as? Int
      else { return false }
      return entry["stage"] as? String != stage.rawValue || lineStep <= step
    }
    try File.writeAtomically(kept.flatMap { $0 + [newline] }, to: path)
    guard let handle = FileHandle(forWritingAtPath: path) else {
      throw FileError(file: path, problem: "cannot be written")
    }
    do {
      try handle.seekToEnd()
    } catch {
      throw FileError(file: path, problem: "cannot be written", error)
    }
    self.handle = handle
  }

  /// Appends one line; numbers as they are, names in alphabetical order.
  func append(stage: Stage, step: Int, _ numbers: [String: Double]) throws {
    var entry: [String: Any] = numbers.filter { $0.value.isFinite }
    entry["stage"] = stage.rawValue
    entry["step"] = step
    do {
      let line = try JSONSerialization.data(withJSONObject: entry, options: [.sortedKeys])
      try handle.write(contentsOf: line + Data("\n".utf8))
    } catch {
      throw FileError(file: path, problem: "cannot be written", error)
    }
  }
}
