import Formats
import Neural

/// Networks as safetensors: a tensor for each parameter, `[outputs, inputs]`, or `[outputs]` for a
/// bias, under the name that ``Parameterized/visitParameters(_:)`` gives it. A 3×3 convolution's
/// inputs are ordered (ky, kx, channel).
package enum Weights {
  /// The weights that the network computes with, and `constants` beside them.
  package static func file(
    of network: some Parameterized, _ constants: [String: Tensor] = [:],
    metadata: [String: String]
  ) -> SafeTensors {
    var tensors = constants
    network.forEachParameter { name, parameter in tensors[name] = Tensor(parameter.value) }
    return SafeTensors(metadata: metadata, tensors: tensors)
  }

  /// Checks that a file has as many numbers as a network, before the network is made.
  static func check(_ file: SafeTensors, _ footprint: Footprint, path: String) throws {
    let found = file.tensors.values.reduce(0) { $0 + $1.elements.count }
    guard found == footprint.parameters else {
      throw FormatError(
        file: path,
        problem: "belongs to another architecture: it has \(found) numbers, "
          + "not \(footprint.parameters)")
    }
    try checkMemory(
      bytes: 4 * (2 * footprint.parameters + footprint.constants + footprint.prepared), path)
  }

  /// Sets every weight of `network`, and its average.
  ///
  /// - Throws: `FormatError` when the file is not exactly this network's.
  package static func decode(
    _ file: SafeTensors, into network: inout some Parameterized, path: String
  ) throws {
    var names = Set(file.tensors.keys)
    try network.visitParameters { name, parameter in
      names.remove(name)
      parameter.value = try file.matrix(name, like: parameter.value, path: path)
      parameter.average = parameter.value
    }
    try refuseLeftovers(names, path: path)
  }

  /// A whole training state: all arrays of every parameter, what the objective has learnt, if it does,
  /// and the number of steps, and of those that were lost.
  static func state(
    of network: some Parameterized, memory: Matrix? = nil, step: Int, lost: Int = 0,
    configuration: Configuration
  ) -> SafeTensors {
    var tensors: [String: Tensor] = [:]
    tensors[memoryName] = memory.map { Tensor($0) }
    var network = network
    network.visitParameters { name, parameter in
      parameter.visitArrays { tensors["\(name)/\($0)"] = Tensor($1) }
    }
    var metadata = ["step": String(step), "configuration": configuration.yaml]
    if lost > 0 { metadata[lostKey] = String(lost) }
    return SafeTensors(metadata: metadata, tensors: tensors)
  }

  private static let memoryName = "memory"
  private static let lostKey = "lost"

  /// Steps of a state without an update.
  static func lostSteps(of file: SafeTensors) -> Int {
    max(0, file.metadata[lostKey].flatMap { Int($0) } ?? 0)
  }

  /// Puts `network` and an objective's memory where a training stopped.
  ///
  /// - Returns: the number of updates made.
  /// - Throws: `FormatError` when the file is not a state of this network and configuration.
  static func decodeState(
    _ file: SafeTensors, into network: inout some Parameterized, _ memory: inout Matrix?,
    configuration: Configuration, path: String
  ) throws -> Int {
    guard let step = file.metadata["step"].flatMap({ Int($0) }), step >= 0 else {
      throw FormatError(file: path, problem: "is not a training state: it names no step")
    }
    // Not their texts: that of an older version lacks settings that have come since.
    guard let text = file.metadata["configuration"] else {
      throw FormatError(file: path, problem: "is not a training state: it names no configuration")
    }
    let written = try Configuration(yaml: text, name: "\(path) (metadata)")
    guard written.trains(like: configuration) else {
      throw FormatError(
        file: path,
        problem: """
          was written under another configuration than the run's config.yaml: \
          \(configuration.firstDifference(from: written) ?? "a setting") differs. Change that \
          back; or remove all checkpoints in this folder, to train the stage anew
          """)
    }
    var names = Set(file.tensors.keys)
    try network.visitParameters { name, parameter in
      try parameter.visitArrays { array, value in
        names.remove("\(name)/\(array)")
        value = try file.matrix("\(name)/\(array)", like: value, path: path)
      }
    }
    if let known = memory {
      names.remove(memoryName)
      memory = try file.matrix(memoryName, like: known, path: path)
    }
    try refuseLeftovers(names, path: path)
    return step
  }

  private static func refuseLeftovers(_ names: Set<String>, path: String) throws {
    guard let name = names.min() else { return }
    throw FormatError(
      file: path, problem: "belongs to another architecture: nothing here takes tensor \(name)")
  }
}

extension Tensor {
  init(_ matrix: Matrix) {
    let shape = matrix.rows == 1 ? [matrix.columns] : [matrix.rows, matrix.columns]
    self.init(shape: shape, elements: matrix.elements)
  }
}

extension SafeTensors {
  fileprivate func matrix(_ name: String, like model: Matrix, path: String) throws -> Matrix {
    let expected = Tensor(model).shape
    guard let tensor = tensors[name] else {
      throw FormatError(
        file: path, problem: "belongs to another architecture: there is no tensor \(name)")
    }
    guard tensor.shape == expected else {
      throw FormatError(
        file: path,
        problem: """
          belongs to another architecture: tensor \(name) is \(tensor.shape), expected \(expected)
          """)
    }
    guard tensor.elements.allSatisfy(\.isFinite) else {
      throw FormatError(file: path, problem: "tensor \(name) has numbers that are not finite")
    }
    return Matrix(model.rows, model.columns, tensor.elements)
  }
}
