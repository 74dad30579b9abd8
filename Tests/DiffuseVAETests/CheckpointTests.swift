import Formats
import Foundation
import Neural
import Testing

@testable import DiffuseVAE

@Suite struct CheckpointTests {
  @Test("A state of an older version, whose configuration lacks settings, goes on; of another, not")
  func olderState() throws {
    let configuration = try small("diffusion.loss=velocity")
    let network = VAE(configuration.vae, pixels: 4, seed: 1)
    let state = Weights.state(of: network, step: 3, configuration: configuration)
    let yaml = try #require(state.metadata["configuration"])
    func step(_ yaml: String?) throws -> Int {
      var (metadata, copy, memory) = (state.metadata, network, Matrix?.none)
      metadata["configuration"] = yaml
      return try Weights.decodeState(
        SafeTensors(metadata: metadata, tensors: state.tensors), into: &copy, &memory,
        configuration: configuration, path: "state")
    }
    let older = yaml.replacing("  gamma: 5\n", with: "").replacing("  zero_snr: false\n", with: "")
    #expect(older.count == yaml.count - 11 - 18)
    #expect(try step(older) == 3)
    // How images are drawn is no matter of a training.
    #expect(try step(yaml.replacing("sampler: plms", with: "sampler: heun")) == 3)
    for (setting, other, name) in [
      ("loss: velocity", "loss: noise", "diffusion.loss"),
      ("lanes: 3", "lanes: 4", "training.lanes"), ("seed: 0", "seed: 1", "training.seed"),
    ] {
      let changed = yaml.replacing(setting, with: other)
      #expect(changed != yaml)
      #expect(
        problem { try step(changed) }.contains("another configuration")
          && problem { try step(changed) }.contains(": \(name) differs"))
    }
    #expect(problem { try step(nil) }.contains("names no configuration"))
    var (copy, memory) = (network, Matrix?.none)
    #expect(
      problem {
        try Weights.decodeState(
          SafeTensors(metadata: ["step": "-1"], tensors: state.tensors), into: &copy, &memory,
          configuration: configuration, path: "state")
      } == "state: is not a training state: it names no step")
  }

  /// A run without a checkpoint, the VAE that it begins with, and how to begin: tells at which step.
  private func newRun(
    in runs: String
  ) throws -> (run: Run, configuration: Configuration, network: VAE, start: () throws -> Int) {
    let configuration = try small()
    let run = try Run.create(in: runs, name: "a", stem: "a", configuration)
    let data = try Dataset(configuration.data)
    let training = Training(run, configuration, data: data, threads: 1, logger: .silent)
    let network = VAE(configuration.vae, pixels: 64, seed: 1)
    return (
      run, configuration, network,
      {
        try training.trainer(VAEObjective(configuration.vae), network, .vae, on: data.training).step
      }
    )
  }

  @Test("A damaged checkpoint is replaced by the one before, which the next one then keeps")
  func damage() throws {
    try inTemporaryFolder { runs in
      let (run, configuration, network, start) = try newRun(in: runs)
      let state = Weights.state(of: network, step: 3, configuration: configuration)
      try state.write(to: run.stateFile(.vae))
      run.keepState(.vae)
      try File.writeAtomically([1, 2, 3], to: run.stateFile(.vae))
      #expect(try start() == 3)
      #expect(try SafeTensors.read(run.stateFile(.vae)) == state)
      run.keepState(.vae)
      #expect(try SafeTensors.read(run.previousStateFile(.vae)) == state)
      try File.writeAtomically([1], to: run.stateFile(.vae))
      try File.writeAtomically([1], to: run.previousStateFile(.vae))
      #expect(problem { try start() }.contains("safetensors"))
    }
  }

  @Test("A checkpoint that cannot be read now, or is of a step past the last, is not given up")
  func unreadable() throws {
    try inTemporaryFolder { runs in
      let (run, configuration, network, start) = try newRun(in: runs)
      let last = configuration.training.vae.steps ?? 0
      for step in [last, last + 1] {
        try Weights.state(of: network, step: step, configuration: configuration)
          .write(to: run.stateFile(.vae))
        run.keepState(.vae)
        #expect(
          problem { try start() }
            == (step == last
              ? "no error"
              : "\(run.stateFile(.vae)): is of step \(step), past the last one, \(last)"))
      }
      // Nobody can open a socket, whoever it is. Its name may have about a hundred bytes.
      let path = "/tmp/\(UUID().uuidString)"
      let socket = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
      defer {
        close(socket)
        unlink(path)
      }
      var address = sockaddr_un()
      address.sun_family = sa_family_t(AF_UNIX)
      withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
      let status = withUnsafePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
          bind(socket, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
        }
      }
      try #require(status == 0)
      try FileManager.default.removeItem(atPath: run.stateFile(.vae))
      try FileManager.default.createSymbolicLink(
        atPath: run.stateFile(.vae), withDestinationPath: path)
      #expect(
        problem { try start() }
          == "\(run.stateFile(.vae)): cannot be read (if it stays so, remove it, and the checkpoint "
          + "before is taken): \(String(cString: strerror(ENXIO)))")
    }
  }
}
