import Foundation

/// A folder of its own with `small.yaml` in it, where commands run.
struct Place {
  let folder: String

  struct Result {
    let output, errors: String
    let status: Int32
    let crashed: Bool
  }

  init() throws {
    folder = NSTemporaryDirectory() + "diffusevae-command-" + UUID().uuidString
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    try write(CommandTests.settings, to: "small.yaml")
  }

  func remove() { try? FileManager.default.removeItem(atPath: folder) }

  /// The commands are built beside the tests.
  static func command(_ name: String) -> String {
    let tests = URL(fileURLWithPath: CommandLine.arguments[0]).resolvingSymlinksInPath()
    return tests.deletingLastPathComponent().appendingPathComponent(name).path
  }

  func start(_ name: String, _ arguments: [String]) throws -> Process {
    try start(Self.command(name), arguments, output: FileHandle.nullDevice, errors: .nullDevice)
  }

  func run(_ name: String, _ arguments: String...) throws -> Result { try run(name, arguments) }

  func run(_ name: String, _ arguments: [String]) throws -> Result {
    try result(Self.command(name), arguments)
  }

  func shell(_ script: String) throws -> Result { try result("/bin/sh", ["-c", script]) }

  private func result(_ path: String, _ arguments: [String]) throws -> Result {
    // Into files: two pipes that are read one after the other can block each other.
    let names = ["out", "err"].map { "\(folder)-\($0)" }
    let handles = names.map { name in
      _ = FileManager.default.createFile(atPath: name, contents: nil)
      return FileHandle(forWritingAtPath: name) ?? .nullDevice
    }
    defer { for name in names { try? FileManager.default.removeItem(atPath: name) } }
    let process = try start(path, arguments, output: handles[0], errors: handles[1])
    process.waitUntilExit()
    let texts = try names.map { try String(contentsOfFile: $0, encoding: .utf8) }
    return Result(
      output: texts[0], errors: texts[1], status: process.terminationStatus,
      crashed: process.terminationReason == .uncaughtSignal)
  }

  private func start(
    _ path: String, _ arguments: [String], output: FileHandle, errors: FileHandle
  ) throws -> Process {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: path)
    process.arguments = arguments
    process.currentDirectoryURL = URL(fileURLWithPath: folder)
    process.environment = ProcessInfo.processInfo.environment.filter {
      $0.key != "DIFFUSEVAE_DATA"
    }
    process.standardOutput = output
    process.standardError = errors
    try process.run()
    return process
  }

  func has(_ path: String) -> Bool { FileManager.default.fileExists(atPath: "\(folder)/\(path)") }

  func read(_ path: String) throws -> [UInt8] {
    Array(try Data(contentsOf: URL(fileURLWithPath: "\(folder)/\(path)")))
  }

  func delete(_ path: String) throws {
    try FileManager.default.removeItem(atPath: "\(folder)/\(path)")
  }

  func size(_ path: String) throws -> Int { try read(path).count }

  func write(_ text: String, to path: String) throws { try write(Array(text.utf8), to: path) }

  func write(_ bytes: [UInt8], to path: String) throws {
    let url = URL(fileURLWithPath: "\(folder)/\(path)")
    try FileManager.default.createDirectory(
      at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
    try Data(bytes).write(to: url)
  }
}
