import Digests
import Foundation
import Pipeline
import RuleLanguage
import VitalModel

/// One version of the rules as put in force: the journal's rules entry (docs/formats/rules.md).
///
/// It holds every text the plan is made of, so that going back to it needs nothing else.
package struct RuleDeployment: Codable, Equatable, Sendable {
  /// What brought it about.
  package enum Origin: String, Codable, Sendable {
    /// Rule files found at a start or a reload.
    case files, reload
    case deploy, rollback
  }

  /// Rules put over those of ``RuleDeployment/sources``: on trial, in some units, or only some of them.
  package struct Layer: Codable, Equatable, Sendable {
    package var mode: String
    /// Care units it is for; empty: all.
    package var units: [String]
    /// Ids of the rules it brings.
    package var rules: [String]
    package var set: String?
    package var sources: [RuleSource]
  }

  /// An Ed25519 signature over ``RuleDeployment/signedText``, base64; the key is the public one.
  package struct Signature: Codable, Equatable, Sendable {
    package var key: String
    package var value: String
  }

  package var set: String?
  package var registry: String
  package var sources: [RuleSource]
  /// Later ones win over earlier ones.
  package var layers: [Layer] = []
  /// Rises by one with every deployment of a store.
  package var number = 1
  /// Version of the whole plan, and of the one before it.
  package var version = ""
  package var previous: String?
  package var author = ""
  /// The second person who agreed.
  package var approver: String?
  package var reason = ""
  /// Milliseconds since 1970.
  package var time: Int64 = 0
  package var origin = Origin.files
  /// Number of the deployment whose texts a rollback put back.
  package var restores: Int?
  /// Digest of the rule files last taken up from disk: while the files are these, the deployment stays in force.
  package var files = ""
  package var signature: Signature?

  package init(files: RuleFiles, set: String?) {
    self.set = set
    registry = files.registryText
    sources = files.sources
    self.files = RuleDeployment.digest(files, set: set)
  }

  // MARK: Texts

  package var baseFiles: RuleFiles { RuleFiles(directory: "Rules", registryText: registry, sources: sources) }

  /// Equal for equal rule files and set.
  package static func digest(_ files: RuleFiles, set: String?) -> String {
    "sha256:" + hex(sha256(files.canonicalText(set: set)))
  }

  /// Deterministic JSON, as journaled.
  package var journaled: [UInt8] {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys]
    return (try? encoder.encode(Journaled(self))).map(Array.init) ?? []
  }

  /// A journal entry read back; nil if its bytes are damaged. Entries made before deployments had numbers are the
  /// `position`-th of their store.
  package init?(journaled bytes: [UInt8], place: Int = 1) {
    guard let stored = try? JSONDecoder().decode(Journaled.self, from: Data(bytes)) else { return nil }
    let files = RuleFiles(directory: "Rules", registryText: stored.registry, sources: stored.sources)
    guard let record = stored.deployment else {
      self.init(files: files, set: stored.set)
      number = place
      author = Origin.files.rawValue
      return
    }
    self = record
    registry = stored.registry
    sources = stored.sources
    set = stored.set
  }

  /// The entry's outer form: what entries held before there were deployments, and the record beside it.
  private struct Journaled: Codable {
    var set: String?
    var registry: String
    var sources: [RuleSource]
    var deployment: RuleDeployment?

    init(_ deployment: RuleDeployment) {
      set = deployment.set
      registry = deployment.registry
      sources = deployment.sources
      var record = deployment
      record.set = nil
      record.registry = ""
      record.sources = []
      self.deployment = record
    }
  }

  // MARK: Signature

  /// What a signature is over: one line a fact, texts as JSON strings, the rule texts by their digest.
  package var signedText: String {
    var lines = [
      "vigil rules deployment 1", "number \(number)", "version \(version)", "previous \(previous ?? "none")",
    ]
    func quoted(_ text: String?) -> String {
      guard let text else { return "none" }
      var out = JSONText()
      out.array { $0.element(text) }
      return String(out.text.dropFirst().dropLast())
    }
    lines.append("author \(quoted(author))")
    lines.append("approver \(quoted(approver))")
    lines.append("reason \(quoted(reason))")
    lines.append("time \(Timestamp.format(time))")
    lines.append("set \(quoted(set))")
    lines.append("texts \(RuleDeployment.digest(baseFiles, set: set))")
    for layer in layers {
      let texts = RuleFiles(directory: "", registryText: registry, sources: layer.sources)
      lines.append(
        "layer \(layer.mode) units=\(quoted(layer.units.joined(separator: ","))) "
          + "rules=\(quoted(layer.rules.joined(separator: ","))) set=\(quoted(layer.set)) "
          + "texts=\(RuleDeployment.digest(texts, set: layer.set))")
    }
    return lines.joined(separator: "\n") + "\n"
  }

  package mutating func sign(with key: borrowing SigningKey) {
    signature = Signature(key: base64(key.publicKey), value: base64(key.sign(Array(signedText.utf8))))
  }

  package enum Verdict: String, Sendable {
    case none, valid, invalid
  }

  /// Whether the signature on record is one over this very record by the key on record.
  package var verdict: Verdict {
    guard let signature else { return .none }
    guard let key = bytes(base64: signature.key), let value = bytes(base64: signature.value) else { return .invalid }
    return isSignature(value, of: Array(signedText.utf8), publicKey: key) ? .valid : .invalid
  }

  // MARK: Plan

  /// How it stands as one word or two.
  package var modeText: String {
    let words = layers.map { layer in
      layer.mode == RuleMode.live.rawValue && !layer.units.isEmpty ? "canary" : layer.mode
    }
    var seen: [String] = ["live"]
    for word in words where !seen.contains(word) { seen.append(word) }
    return seen.joined(separator: "+")
  }

  /// The checked plan of everything in it.
  package func plan() throws(RuleFiles.Failure) -> RulePlan {
    let base = try baseFiles.plan(set: set)
    guard !layers.isEmpty else { return base }
    var composition = PlanComposition(base)
    for layer in layers { composition.add(layer, try plan(of: layer)) }
    return composition.plan
  }

  /// The texts a version of a rule comes from, and their set.
  package func sources(ofRule id: String, version: String) -> (sources: [RuleSource], set: String?) {
    for layer in layers.reversed() where layer.rules.contains(id) {
      if let plan = try? plan(of: layer), plan.rules.contains(where: { $0.id == id && $0.version == version }) {
        return (layer.sources, layer.set)
      }
    }
    return (sources, set)
  }

  private func plan(of layer: Layer) throws(RuleFiles.Failure) -> RulePlan {
    try RuleFiles(directory: "Rules", registryText: registry, sources: layer.sources).plan(set: layer.set)
  }
}

/// Rules of several texts side by side in one plan.
struct PlanComposition {
  private let base: RulePlan
  private var rules: [RuleDefinition]
  private var scores: [ScoreDefinition]
  /// What gates say, which versions of rules do not.
  private var notes: [String] = []

  init(_ base: RulePlan) {
    self.base = base
    rules = base.rules
    scores = base.scores
  }

  mutating func add(_ layer: RuleDeployment.Layer, _ plan: RulePlan) {
    let mode = RuleMode(rawValue: layer.mode) ?? .shadow
    for id in layer.rules {
      if mode == .off {
        remove(id) { !$0.variant.isEmpty }
        for index in rules.indices where rules[index].id == id { rules[index].mode = .off }
        continue
      }
      guard let found = plan.rules.first(where: { $0.id == id }) else { continue }
      let rule = moved(found, from: plan)
      switch mode {
      case .live where layer.units.isEmpty:
        remove(id) { _ in true }
        rules.append(rule)
      case .live: addCanary(rule, units: layer.units)
      default: addTrial(rule, units: layer.units)
      }
    }
  }

  /// The plan so far. Vital rules first, then scores, each by id and variant, as `RuleLibrary` orders them.
  var plan: RulePlan {
    let sorted = rules.sorted {
      ($0.score == nil ? 0 : 1, $0.id, $0.variant) < ($1.score == nil ? 0 : 1, $1.id, $1.variant)
    }
    var text = base.version + "\n" + notes.joined(separator: "\n")
    for rule in sorted {
      text += "\n\(rule.id) \(rule.variant) \(rule.version) \(rule.mode.rawValue) \(rule.applies?.text ?? "")"
    }
    return RulePlan(
      registry: base.registry, rules: sorted, scores: scores, version: "sha256:" + hex(sha256(text)),
      minimumQuality: base.minimumQuality)
  }

  private mutating func remove(_ id: String, where isGone: (RuleDefinition) -> Bool) {
    rules.removeAll { $0.id == id && isGone($0) }
  }

  private mutating func addTrial(_ rule: RuleDefinition, units: [String]) {
    remove(rule.id) { $0.variant == RuleDefinition.trialVariant }
    var trial = rule
    trial.variant = RuleDefinition.trialVariant
    trial.mode = .shadow
    rules.append(PlanComposition.gated(trial, units: units, inside: true))
  }

  private mutating func addCanary(_ rule: RuleDefinition, units: [String]) {
    remove(rule.id) { $0.variant == RuleDefinition.canaryVariant }
    for index in rules.indices where rules[index].id == rule.id && rules[index].variant.isEmpty {
      // The gate is always made from the rule as written, so that a second canary of it does not gate it twice.
      let plain = base.rules.first { $0.id == rule.id && $0.version == rules[index].version } ?? rules[index]
      rules[index] = PlanComposition.gated(plain, units: units, inside: false)
    }
    var canary = rule
    canary.variant = RuleDefinition.canaryVariant
    rules.append(PlanComposition.gated(canary, units: units, inside: true))
  }

  /// A rule that applies only inside, or only outside, some units.
  static func gated(_ rule: RuleDefinition, units: [String], inside: Bool) -> RuleDefinition {
    guard let first = units.first else { return rule }
    var gate: [Instruction] = [.attribute(.unit(first))]
    for unit in units.dropFirst() { gate += [.attribute(.unit(unit)), .or] }
    if !inside { gate.append(.not) }
    let words = units.map { "unit(\($0))" }.joined(separator: " or ")
    let text = inside ? "(\(words))" : "not (\(words))"
    var gatedRule = rule
    if let applies = rule.applies {
      gatedRule.applies = Program(
        instructions: applies.instructions + gate + [.and], text: "(\(applies.text)) and \(text)")
    } else {
      gatedRule.applies = Program(instructions: gate, text: text)
    }
    return gatedRule
  }

  // MARK: Scores

  /// The rule with the positions of its scores in this plan; scores that differ are added.
  private mutating func moved(_ rule: RuleDefinition, from plan: RulePlan) -> RuleDefinition {
    var places: [Int: Int] = [:]
    var used = Set([rule.score].compactMap { $0 })
    used.formUnion(rule.programs.flatMap(\.instructions).compactMap(\.score))
    var copy = rule
    for index in used.sorted() {
      let score = plan.scores[index]
      if let place = scores.firstIndex(of: score) {
        places[index] = place
      } else {
        scores.append(score)
        places[index] = scores.count - 1
      }
    }
    copy.score = rule.score.flatMap { places[$0] }
    copy.changePrograms { program in
      program.instructions = program.instructions.map { instruction in
        switch instruction {
        case .score(let index, let field): .score(places[index] ?? index, field)
        case .scoreComponent(let index, let component): .scoreComponent(places[index] ?? index, component)
        default: instruction
        }
      }
    }
    return copy
  }
}
