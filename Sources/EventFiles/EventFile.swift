#if TensorBoard
  import Foundation
  import SwiftProtobuf

  /// A file of scalars that TensorBoard shows: `events.out.tfevents.…`. It reads all such files of a folder
  /// together, also while they are written.
  package struct EventFile {
    package let path: String
    private let handle: FileHandle

    /// Begins a file, or goes on with it.
    ///
    /// - Parameters:
    ///   - folder: where it goes.
    ///   - ending: of its name; what is written at the same time by others needs another one.
    /// - Throws: an error of the system's when it cannot be written.
    package init(in folder: String, ending: String) throws {
      // TensorBoard reads files in the order of their names.
      let seconds = String(format: "%.3f", Date().timeIntervalSince1970)
      let host = ProcessInfo.processInfo.hostName
      path = "\(folder)/events.out.tfevents.\(seconds).\(host).\(ending)"
      if !FileManager.default.fileExists(atPath: path) {
        try Data().write(to: URL(fileURLWithPath: path))
      }
      handle = try FileHandle(forWritingTo: URL(fileURLWithPath: path))
      try handle.seekToEnd()
      // Of the format, not of this program.
      try append { $0.fileVersion = "brain.Event:2" }
    }

    /// Appends numbers under their names. TensorBoard has single precision.
    package func append(step: Int, _ scalars: [String: Double]) throws {
      try append { event in
        event.step = Int64(step)
        event.summary.value = scalars.sorted { $0.key < $1.key }.map { tag, number in
          var value = Summary.Value()
          (value.tag, value.simpleValue) = (tag, Float(number))
          return value
        }
      }
    }

    private func append(_ fill: (inout Event) -> Void) throws {
      var event = Event()
      event.wallTime = Date().timeIntervalSince1970
      fill(&event)
      let content: [UInt8] = try event.serializedBytes()
      try handle.write(contentsOf: Data(Record.encode(content)))
    }
  }
#endif
