// libFuzzer on the reader of one format, which the last argument names:
//     Fuzz [libFuzzer's options and folders] -ignore_remaining_args=1 FORMAT
// scripts/fuzz builds and calls it.

import CFuzzer

private enum Chosen {
  static let read = CommandLine.arguments.last.flatMap { formats[$0] }
}

guard Chosen.read != nil else {
  preconditionFailure("the last argument must be one of \(formats.keys.sorted())")
}
var count = CommandLine.argc
var arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>? = CommandLine.unsafeArgv
_ = LLVMFuzzerRunDriver(&count, &arguments) { data, size in
  do {
    try Chosen.read?(Array(UnsafeBufferPointer(start: data, count: size)))
  } catch {
    preconditionFailure("not an error of the module: \(error)")
  }
  return 0
}
