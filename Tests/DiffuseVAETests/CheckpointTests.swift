import CFaults
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
      run.keepState(.vae, count: 2)
      try File.writeAtomically([1, 2, 3], to: run.stateFile(.vae))
      faults_begin("rename", 1, EIO)
      #expect(
        problem { try start() }
          == "\(run.stateFile(.vae)): cannot be replaced: \(String(cString: strerror(EIO)))")
      #expect(faults_end() != 0)
      #expect(try start() == 3)
      #expect(try SafeTensors.read(run.stateFile(.vae)) == state)
      run.keepState(.vae, count: 2)
      #expect(try SafeTensors.read(run.stateFile(.vae, before: 1)) == state)
      try File.writeAtomically([1], to: run.stateFile(.vae))
      try File.writeAtomically([1], to: run.stateFile(.vae, before: 1))
      #expect(problem { try start() }.contains("safetensors"))
    }
  }

  @Test(
    "As many checkpoints are kept as are wanted, and damaged ones passed over", arguments: 1...4)
  func kept(count: Int) throws {
    try inTemporaryFolder { runs in
      let (run, configuration, network, start) = try newRun(in: runs)
      for step in 1...6 {
        run.keepState(.vae, count: count)
        try Weights.state(of: network, step: step, configuration: configuration)
          .write(to: run.stateFile(.vae))
      }
      let kept = run.stateFiles(.vae).filter(run.has)
      #expect(
        try kept.map { try SafeTensors.read($0).metadata["step"] }
          == (0..<count).map { "\(6 - $0)" })
      for (damaged, path) in kept.enumerated().dropLast() {
        #expect(try start() == 6 - damaged)
        // What was gone back to stands in the place of the last.
        try File.writeAtomically([1, 2, 3], to: damaged == 0 ? path : run.stateFile(.vae))
      }
      #expect(try start() == 7 - count)
      faults_begin("unlink", 1, EIO)
      #expect(
        problem { try run.removeState(.vae) }
          == "\(run.stateFile(.vae)): cannot be removed: \(String(cString: strerror(EIO)))")
      #expect(faults_end() != 0)
      try run.removeState(.vae)
      #expect(run.stateFiles(.vae).filter(run.has) == [])
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
        run.keepState(.vae, count: 2)
        #expect(
          problem { try start() }
            == (step == last
              ? "no error"
              : "\(run.stateFile(.vae)): is of step \(step), past the last one, \(last)"))
      }
      faults_begin("open", 1, EIO)
      #expect(
        problem { try start() }
          == "\(run.stateFile(.vae)): cannot be read (if it stays so, remove it, and the checkpoint "
          + "before is taken): \(String(cString: strerror(EIO)))")
      #expect(faults_end() != 0)
    }
  }
}
