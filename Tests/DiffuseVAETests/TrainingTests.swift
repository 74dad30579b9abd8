import Diffusion
import Formats
import Foundation
import Neural
import Testing

@testable import DiffuseVAE

@Suite struct TrainingTests {
  @Test(
    "Both stages and the prior give the same bits with 1 to 4 threads",
    arguments: DenoiserSettings.Kind.learned)
  func threads(kind: DenoiserSettings.Kind) throws {
    try inTemporaryFolder { runs in
      let configuration = try small(
        "denoiser.kind=\(kind)", "denoiser.dropout=0.3", "training.lanes=3",
        "consistency.kind=distillation", "training.consistency.steps=12",
        "training.consistency.batch=50")
      let weights = try (1...4).map { threads in
        let run = try trainedRun(
          in: runs, name: "threads-\(threads)", configuration, threads: threads)
        return try Stage.allCases.map(run.weightsFile).map { try File.read($0) }
      }
      for others in weights.dropFirst() { #expect(weights[0] == others) }
    }
  }

  @Test("A stage resumed at any step ends with the same bits as one never stopped")
  func resume() throws {
    let configuration = try small()
    let digits = try Dataset(configuration.data)
    let vae = VAE(configuration.vae, pixels: 64, seed: 1)
    try resume(VAEObjective(configuration.vae), vae, .vae, digits.training, configuration)
    let network = MLPDenoiser(
      configuration.denoiser, pixels: 64, conditional: true, timesteps: 50, seed: 1)
    let objective = DiffusionObjective<MLPDenoiser>(
      process: try DiffusionProcess(configuration.diffusion), vae: vae, dropout: 0.3)
    try resume(objective, network, .denoiser, digits.training, configuration)
    var choosing = objective
    choosing.times = .importance(TimestepImportance(steps: 50))
    try resume(choosing, network, .denoiser, digits.training, configuration)
    try resume(
      ConsistencyObjective(objective, teacher: network, levels: 10), network.shaken(0.01),
      .consistency, digits.training, configuration)
    try resume(
      JointObjective<MLPDenoiser>(small("training.plan=alternating")),
      BothNetworks(vae, network.shaken(0.01)), .vae, digits.training, configuration)
    let latents = MLPDenoiser(
      configuration.denoiser, pixels: 4, conditional: false, timesteps: 50, seed: 1)
    try resume(
      LatentObjective(schedule: objective.process.schedule), latents, .prior,
      vae.encode(digits.training.pixels(0..<digits.training.count), labels: nil), configuration)
  }

  private func resume<Goal: Objective>(
    _ objective: Goal, _ network: Goal.Network, _ stage: Stage,
    _ examples: some Examples, _ configuration: Configuration
  ) throws {
    // 40 steps of 50 out of 1 500 images: an epoch ends on the way.
    var settings = configuration.settings(of: stage)
    (settings.steps, settings.batch) = (40, 50)
    func trainer(
      _ network: Goal.Network, _ memory: Matrix? = nil, step: Int
    ) throws -> Trainer<Goal> {
      var objective = objective
      objective.memory = memory
      return try Trainer(
        objective, network, examples: examples, settings: settings, lanes: 3, seed: 7,
        threads: 2, step: step)
    }
    var whole = try trainer(network, step: 0)
    while !whole.isFinished { _ = try whole.advance() }
    let (before, after) = (network.parameters, whole.network.parameters)
    for (name, value) in before where name.hasSuffix("/value") { #expect(after[name] != value) }
    for stop in [0, 1, 17, 29, 30, 31, 39] {
      var first = try trainer(network, step: 0)
      while first.step < stop { _ = try first.advance() }
      let state = Weights.state(
        of: first.network, memory: first.objective.memory, step: first.step,
        configuration: configuration)
      var (restored, memory) = (network, objective.memory)
      let step = try Weights.decodeState(
        SafeTensors(decoding: state.encoded(), file: "state"), into: &restored, &memory,
        configuration: configuration, path: "state")
      #expect(step == stop)
      var second = try trainer(restored, memory, step: step)
      while !second.isFinished { _ = try second.advance() }
      #expect(second.network.parameters == whole.network.parameters, "\(stage) at \(stop)")
      #expect(second.objective.memory == whole.objective.memory, "\(stage) at \(stop)")
    }
  }

  @Test("Training lowers the loss of both stages on held-out digits")
  func learns() throws {
    var configuration = try small("training.vae.steps=1500", "training.denoiser.steps=300")
    (configuration.training.vae.warmup, configuration.training.denoiser.warmup) = (10, 10)
    let digits = try Dataset(configuration.data)
    let test = try #require(digits.test)
    let vae = VAE(configuration.vae, pixels: 64, seed: 1)
    func losses<Goal: Objective>(
      _ objective: Goal, _ network: Goal.Network, _ stage: Stage
    ) throws -> (before: Double, after: Double, network: Goal.Network) {
      var trainer = try Trainer(
        objective, network, examples: digits.training, settings: configuration.settings(of: stage),
        lanes: 2, seed: 7, threads: 2)
      let before = try trainer.evaluate(on: test)[0]
      while !trainer.isFinished { _ = try trainer.advance() }
      return (before, try trainer.evaluate(on: test)[0], trainer.network.averaged)
    }
    let first = try losses(VAEObjective(configuration.vae), vae, .vae)
    // What an image that is the same for every z can reach: the cross entropy of the mean image.
    let mean = digits.training.pixels(0..<digits.training.count)
    var constant = Matrix(1, 64)
    constant.add(rowsOf: mean)
    let p = constant.elements.map { Double($0) / Double(mean.rows) }
    let best = test.pixels(0..<test.count).elements.enumerated().reduce(0.0) { sum, pixel in
      let p = min(max(p[pixel.offset % 64], 1e-6), 1 - 1e-6)
      return sum - Double(pixel.element) * log(p) - Double(1 - pixel.element) * log(1 - p)
    }
    #expect(first.after < best / Double(test.count), "\(first.before) → \(first.after)")
    func secondLearns<Network: Denoiser>(_ network: Network) throws {
      let objective = DiffusionObjective<Network>(
        process: try DiffusionProcess(configuration.diffusion), vae: first.network)
      let second = try losses(objective, network, .denoiser)
      #expect(
        second.after < 0.5 * second.before, "\(Network.self): \(second.before) → \(second.after)")
    }
    for kind in DenoiserSettings.Kind.learned {
      configuration.denoiser.kind = kind
      try secondLearns(configuration.network(shape: digits.shape))
    }
  }

  @Test("The rate rises linearly, then falls as a cosine to its final ratio")
  func rate() {
    var settings = StageSettings()
    (settings.rate, settings.warmup, settings.finalRatio) = (0.1, 10, 0.2)
    #expect(abs(settings.rate(at: 0, of: 110) - 0.01) < 1e-15)
    #expect(abs(settings.rate(at: 9, of: 110) - 0.1) < 1e-15)
    #expect(abs(settings.rate(at: 10, of: 110) - 0.1) < 1e-15)
    #expect(abs(settings.rate(at: 60, of: 110) - 0.06) < 1e-15)
    #expect(abs(settings.rate(at: 110, of: 110) - 0.02) < 1e-15)
    settings.warmup = 0
    #expect(abs(settings.rate(at: 0, of: 1) - 0.1) < 1e-15)
  }

  @Test(
    "An epoch visits every image once, in an order of its own, few or all of a lane together",
    arguments: [1, 2, .max])
  func epochs(together: Int) throws {
    /// Counts what it is shown: every image is its own number.
    struct Recorder: Objective {
      struct Nothing: Parameterized {
        mutating func visit(
          _ path: String, _ body: (String, inout Parameter) throws -> Void
        ) rethrows {}
      }
      let terms = ["sum"]
      let together: Int
      func forward(_ network: Nothing, _ slice: Slice) -> (terms: [Double], residuals: Int) {
        // A different power of two for each image, so that sums tell sets apart.
        let ids = slice.examples.elements.map { Int(($0 * 255).rounded()) }
        #expect(ids == slice.indices && ids.count == slice.rows.count && ids.count <= together)
        return ([ids.reduce(0.0) { $0 + Double(sign: .plus, exponent: $1, significand: 1) }], 0)
      }
      func backward(_ network: Nothing, _ residuals: Int, _ gradients: inout Gradients) {}
    }
    let images = ByteImages(count: 48, height: 1, width: 1, channels: 1, bytes: Array(0..<48))
    var settings = StageSettings()
    (settings.batch, settings.epochs) = (12, 3)
    var trainer = try Trainer(
      Recorder(together: together), Recorder.Nothing(), examples: images, settings: settings,
      lanes: 5, seed: 1,
      threads: 2)
    #expect(trainer.totalSteps == 12)
    var batches: [Double] = []
    while !trainer.isFinished { batches.append(try trainer.advance().terms[0]) }
    let all = Double(sign: .plus, exponent: 48, significand: 1) - 1
    #expect(try trainer.evaluate(on: images) == [all])
    for epoch in 0..<3 { #expect(batches[4 * epoch..<4 * epoch + 4].reduce(0, +) == all) }
    #expect(Set(batches).count == 12)
    settings.batch = 49
    #expect(throws: UserError.self) {
      try Trainer(
        Recorder(together: together), Recorder.Nothing(), examples: images, settings: settings,
        lanes: 5, seed: 1,
        threads: 2)
    }
  }

  @Test("A U-Net's update is that of the whole batch, though few images go through it together")
  func parts() throws {
    let digits = try Dataset(DataSettings())
    let configuration = try small(
      "denoiser.kind=unet", "diffusion.formulation=none", "training.denoiser.batch=75")
    let network = UNetDenoiser(
      configuration.denoiser, shape: digits.shape, conditional: false, conditionFeatures: 0,
      timesteps: 50, seed: 1
    ).shaken(0.1)
    let objective = try DiffusionObjective<UNetDenoiser>(configuration, vae: nil)
    var gradients = Gradients(of: network)
    var trainer = try Trainer(
      objective, network, examples: digits.training, settings: configuration.training.denoiser,
      lanes: 2, seed: 3, threads: 2)
    // The batch is the first of the epoch's order, which the images' own numbers tell.
    var order = Array(0..<digits.training.count)
    var random = SequentialRandom(RandomStream(seed: 3, purpose: .shuffle))
    order.shuffle(using: &random)
    let whole = Slice(
      examples: digits.training.rows(at: order[0..<75]), rows: 0..<75, batch: 75, seed: 3, step: 0)
    let (terms, residuals) = objective.forward(network, whole)
    objective.backward(network, residuals, &gradients)
    var square = 0.0
    network.forEachParameter { square += gradients[$1].value.squaredNorm }
    let report = try trainer.advance()
    #expect(abs(report.terms[0] - terms[0]) < 1e-5 * terms[0])
    #expect(abs(report.norm - square.squareRoot()) < 1e-5 * report.norm)
  }

  @Test("A training that diverges stops with the step that did it, the weights as they were")
  func divergence() throws {
    let configuration = try small()
    var vae = VAE(configuration.vae, pixels: 64, seed: 1)
    vae.visitParameters { name, parameter in
      if name == "decoder.0.weight" { parameter.value.elements[0] = .infinity }
    }
    let before = vae.parameters
    var trainer = try Trainer(
      VAEObjective(configuration.vae), vae, examples: try Dataset(DataSettings()).training,
      settings: configuration.training.vae, lanes: 2, seed: 1, threads: 2)
    #expect(problem { try trainer.advance() }.hasPrefix("training diverged at step 0"))
    #expect(trainer.network.parameters == before)
    #expect(trainer.step == 0)
  }

  @Test("A run is a folder with everything in its place, and resuming needs no state once done")
  func folder() throws {
    try inTemporaryFolder { runs in
      let run = try trainedRun(in: runs, try small())
      for path in [
        "config.yaml", "vae.safetensors", "prior.safetensors", "denoiser.safetensors",
        "metrics.jsonl",
      ] {
        #expect(FileManager.default.fileExists(atPath: "\(run.folder)/\(path)"))
      }
      let samples = try FileManager.default.contentsOfDirectory(atPath: run.folder + "/samples")
      #expect(
        samples.sorted() == [
          "denoiser-0000006.png", "denoiser-0000012.png", "vae-0000006.png", "vae-0000012.png",
        ])
      #expect(
        try FileManager.default.contentsOfDirectory(atPath: run.folder + "/state") == ["lock"])
      let lines = String(decoding: try File.read(run.metricsFile), as: UTF8.self).split(
        separator: "\n")
      // 12 steps of two stages, a line for each, and two evaluations of each.
      #expect(lines.count == 2 * (12 + 2))
      #expect(try run.configuration() == small())
    }
  }
}
