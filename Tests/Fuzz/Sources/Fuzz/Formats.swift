import DiffuseVAE

@testable import Formats

/// What is done with the bytes of a file, by the name of its format: they must give a value or the
/// module's error. A value must also survive writing and reading again. Every error that is thrown
/// here is a finding.
let formats: [String: @Sendable ([UInt8]) throws -> Void] = [
  "cifar10": { bytes in _ = try value { try CIFAR10.images(bytes, file: "f") } },
  "gzip": { bytes in
    for limit in [10, 1 << 20] {
      let inflated = try value { try Gzip.inflate(bytes, limit: limit, file: "f") }
      precondition(inflated.map { $0.count <= limit } ?? true)
    }
  },
  "idx": { bytes in
    _ = try value { try IDX.images(bytes, file: "f") }
    _ = try value { try IDX.labels(bytes, file: "f") }
  },
  "npy": { bytes in
    guard let tensor = try value({ try NPY.decode(bytes, file: "f").tensor }) else { return }
    let again = try NPY.decode(NPY.encode(tensor), file: "f").tensor
    precondition(again.shape == tensor.shape && again.bytes == tensor.bytes)
  },
  "npz": { bytes in
    guard
      let array = try value({
        try NPZ.array(["images"], of: bytes, file: "f", limit: 1 << 20).bytes
      })
    else { return }
    precondition(array.count <= 1 << 20)
  },
  "png": { bytes in
    for bytes in [bytes, withChecksums(bytes)] {
      guard let image = try value({ try PNG.decode(bytes, limit: 1 << 20, file: "f") }) else {
        continue
      }
      let file = try PNG.encode(
        width: image.width, height: image.height, channels: image.channels, bytes: image.bytes)
      let again = try PNG.decode(file, file: "f")
      precondition(again == image)
    }
  },
  "safetensors": { bytes in
    guard let file = try value({ try SafeTensors(decoding: bytes, file: "f") }) else { return }
    let again = try SafeTensors(decoding: file.encoded(), file: "f")
    precondition(again.encoded() == file.encoded())
  },
  "yaml": { bytes in
    let text = String(decoding: bytes, as: UTF8.self)
    let configuration: Configuration
    do throws(ConfigurationError) {
      configuration = try Configuration(yaml: text, name: "f")
    } catch {
      precondition(!error.problems.isEmpty)
      return
    }
    let again = try Configuration(yaml: configuration.yaml, name: "f")
    precondition(again == configuration)
  },
]

/// What `body` makes; nil if it throws the error of the module, which has something to say.
private func value<Value>(_ body: () throws -> Value) throws -> Value? {
  do {
    return try body()
  } catch let error as FormatError {
    precondition(!error.problem.isEmpty)
    return nil
  }
}
