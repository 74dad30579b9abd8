/// Files that only Python can read, by running what is in them: pickles, and PyTorch's archives of
/// such (`.pt`, `.pth`, `.ckpt`). They are recognised, to say so, and never read.
enum Pickle {
  /// What to say of a file that begins so and is nothing that was expected; nil if it is no pickle.
  static func refusal(of beginning: some Collection<UInt8>, file: String) -> FormatError? {
    guard isPickle(beginning) || isArchive(beginning) else { return nil }
    return FormatError(
      file: file,
      problem: "is a pickle of Python, which is never read, since it may run any program; in "
        + "Python, from safetensors.torch import save_file; save_file(torch.load(\(quoted(file)), "
        + "weights_only=True), \"converted.safetensors\") makes safetensors of it")
  }

  /// The opcode of the protocol, and one of those that there are.
  private static func isPickle(_ beginning: some Collection<UInt8>) -> Bool {
    (2...5).contains { beginning.starts(with: [0x80, $0]) }
  }

  /// A zip archive whose first files are, as PyTorch has it, `NAME/data.pkl`.
  private static func isArchive(_ beginning: some Collection<UInt8>) -> Bool {
    guard beginning.starts(with: [0x50, 0x4B, 0x03, 0x04]) else { return false }
    let name = Array("data.pkl".utf8)
    let searched = Array(beginning.prefix(4096))
    return searched.indices.contains { searched[$0...].starts(with: name) }
  }
}
