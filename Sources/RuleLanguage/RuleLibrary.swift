import Digests
import VitalModel
import YAMLText

/// The text of one file of a rule directory; the program reads files, this room only their text.
package struct RuleSource: Hashable, Sendable, Codable {
  /// Path relative to the rule directory, `/` between parts.
  package var path: String
  package var text: String
  package init(path: String, text: String) {
    self.path = path
    self.text = text
  }
}

/// Rule files to a checked plan. Pure: equal texts give equal plans, versions included.
///
/// A rule directory holds `vitals.yaml` (read by the caller), `flags.yaml` where flags are to be checked, `scores/*.yaml`,
/// `sets/*.yaml`, `maps/*.yaml` (recordings), `examples/*.yaml` (each for itself) and rule files everywhere else, one rule a
/// YAML document; a rule file may also hold the charts of scores its rules use.
package enum RuleLibrary {
  /// The role a file's path gives it.
  private enum Role { case score, set, rule, other }

  private static func role(_ path: String) -> Role {
    guard path.hasSuffix(".yaml") || path.hasSuffix(".yml") else { return .other }
    if path == "vitals.yaml" || path == KnownFlags.path { return .other }
    // Examples run alone, each given by its own path.
    if path.hasPrefix("maps/") || path.hasPrefix("examples/") { return .other }
    if path.hasPrefix("scores/") { return .score }
    return path.hasPrefix("sets/") ? .set : .rule
  }

  /// Checks everything and builds the plan of one set (`nil`: every rule).
  ///
  /// - Parameter replacing: rules whose resolved node is another than in the sources (one changed rule), by id.
  /// - Throws: every problem found, each with its file, line and column.
  package static func plan(
    sources: [RuleSource], set: String?, registry: VitalRegistry, directory: String = "Rules",
    replacing: [String: YAMLNode] = [:]
  ) throws(TextProblems) -> RulePlan {
    var loaded = load(sources, registry, directory)
    for index in loaded.documents.indices {
      if let node = replacing[loaded.documents[index].id] { loaded.documents[index].node = node }
    }
    let choice = chosen(loaded.sources, set: set, documents: loaded.documents, directory, &loaded.found)
    var rules: [RuleDefinition] = []
    var inhibition = InhibitionCheck(documents: loaded.documents)
    for document in loaded.documents {
      let adapted = choice?[document.id]
      guard let read = loaded.read(document, adapted ?? .init(), registry) else { continue }
      inhibition.note(read, of: document)
      if choice == nil || adapted != nil { rules.append(read.definition) }
    }
    let templates = loaded.templates
    loaded.found += inhibition.problems.map { templates.restored($0.problem, rule: $0.rule) }
    checkFlags(rules, loaded.scores, directory, &loaded.found)
    guard loaded.found.isEmpty else { throw TextProblems(loaded.found) }
    return assembled(rules, scores: loaded.scores, registry: registry)
  }

  /// A plan of checked rules, whose scores are numbered as in `scores`.
  static func assembled(
    _ rules: [RuleDefinition], scores: [ScoreDefinition], registry: VitalRegistry
  ) -> RulePlan {
    // Vital rules first, then scores, each by id: the order in which one message's rules are judged never depends on files.
    let rules = rules.sorted { ($0.score == nil ? 0 : 1, $0.id) < ($1.score == nil ? 0 : 1, $1.id) }
    let registryText = registry.vitals.map(\.canonicalText).joined(separator: "\n")
    let modes = rules.map { "\($0.version) \($0.mode.rawValue)" }.joined(separator: "\n")
    let version = "sha256:" + hex(sha256(modes + "\n" + registryText))
    return RulePlan(registry: registry, rules: rules, scores: scores, version: version).keepingUsedScores
  }

  /// One rule document of the directory.
  package struct Document: Hashable, Sendable {
    package var id: String
    /// With the directory, as messages name it.
    package var file: String
    /// The rule with its template written out. Lines of a template carry the number of its file above bit 23; use ``line``
    /// for the place of the rule itself.
    package var node: YAMLNode
    /// The node of `tests:` where the rule has any; tests are never in a template, so its place is in ``file``.
    package var tests: YAMLNode?
    /// First line of the rule in ``file``.
    package var line: Int
  }

  /// Every rule document with its template written out, in the order of files and documents.
  ///
  /// - Throws: what is wrong with the texts, templates and scores; conditions are not checked here.
  package static func documents(
    sources: [RuleSource], registry: VitalRegistry, directory: String = "Rules"
  ) throws(TextProblems) -> [Document] {
    let loaded = load(sources, registry, directory)
    guard loaded.found.isEmpty else { throw TextProblems(loaded.found) }
    return loaded.documents
  }

  /// One rule of a set (or of all), resolved, with the place of its tests.
  ///
  /// - Returns: nil if there is no such rule in the set.
  package static func rule(
    _ id: String, sources: [RuleSource], set: String?, registry: VitalRegistry, directory: String = "Rules"
  ) throws(TextProblems) -> (definition: RuleDefinition, document: Document, plan: RulePlan)? {
    let plan = try plan(sources: sources, set: set, registry: registry, directory: directory)
    guard let definition = plan.rules.first(where: { $0.id == id }),
      let document = try documents(sources: sources, registry: registry, directory: directory).first(where: {
        $0.id == id
      })
    else { return nil }
    return (definition, document, plan)
  }

  /// One rule of a set (or of all) in plain English.
  ///
  /// - Returns: nil if there is no such rule.
  package static func prose(
    _ id: String, sources: [RuleSource], set: String?, registry: VitalRegistry, directory: String = "Rules"
  ) throws(TextProblems) -> String? {
    guard let (rule, document, loaded) = try read(id, sources, set, registry, directory) else { return nil }
    return RuleProse.text(
      rule, tests: document.tests, place: "\(document.file):\(document.line)", registry: registry,
      scores: loaded.scores)
  }

  /// The typed trees of one rule's conditions and the memory its windows cost.
  ///
  /// - Returns: nil if there is no such rule.
  package static func expressionTree(
    _ id: String, sources: [RuleSource], set: String?, registry: VitalRegistry, directory: String = "Rules"
  ) throws(TextProblems) -> String? {
    guard let (rule, _, loaded) = try read(id, sources, set, registry, directory) else { return nil }
    return ExpressionTree.text(rule, registry: registry, scores: loaded.scores)
  }

  /// The typed tree of an expression by itself (no parameters) and the memory its windows cost.
  package static func expressionTree(
    ofText text: String, sources: [RuleSource], registry: VitalRegistry, directory: String = "Rules"
  ) throws(TextProblems) -> String {
    let loaded = load(sources, registry, directory)
    guard loaded.found.isEmpty else { throw TextProblems(loaded.found) }
    var checker = ExpressionChecker(
      registry: registry, scores: loaded.scores, parameters: [], parameterTypes: [], eachSeries: false)
    do throws(ExpressionProblem) {
      checker.place = .clear
      let checked = try checker.check(try ExpressionParser.parse(text))
      var rule = ReadRule(definition: RuleDefinition(), conditions: RuleConditions())
      rule.definition.features = checker.features
      let node = YAMLNode(.scalar(text, .plain), line: 1, column: 1)
      rule.conditions.when = RuleCondition(checked: checked, text: text, node: node)
      return ExpressionTree.text(rule, registry: registry, scores: loaded.scores)
    } catch {
      throw TextProblems([
        TextProblem(
          file: "expression", line: 1, column: error.column + 1, message: error.message, suggestion: error.suggestion)
      ])
    }
  }

  private static func read(
    _ id: String, _ sources: [RuleSource], _ set: String?, _ registry: VitalRegistry, _ directory: String
  ) throws(TextProblems) -> (ReadRule, Document, Loaded)? {
    var loaded = load(sources, registry, directory)
    let choice = chosen(loaded.sources, set: set, documents: loaded.documents, directory, &loaded.found)
    guard loaded.found.isEmpty else { throw TextProblems(loaded.found) }
    guard let document = loaded.documents.first(where: { $0.id == id }), choice == nil || choice?[id] != nil else {
      return nil
    }
    let rule = loaded.read(document, choice?[id] ?? .init(), registry)
    guard let rule, loaded.found.isEmpty else { throw TextProblems(loaded.found) }
    return (rule, document, loaded)
  }

  /// Problems as the command line prints them: each with its source line and a caret under the fault.
  package static func rendered(
    _ problems: TextProblems, sources: [RuleSource], directory: String = "Rules"
  ) -> String {
    problems.all.map { problem in
      let source = sources.first { name($0, directory) == problem.file }
      return source.map { problem.rendered(source: $0.text) } ?? problem.description
    }.joined(separator: "\n")
  }

  /// Every score of the directory, whether or not a rule uses it, by id.
  ///
  /// - Throws: every problem found in the charts.
  package static func scores(
    sources: [RuleSource], registry: VitalRegistry, directory: String = "Rules"
  ) throws(TextProblems) -> [ScoreDefinition] {
    var found: [TextProblem] = []
    let flags = readFlags(sources, directory, &found)
    let scores = readScores(sources.sorted { $0.path < $1.path }, registry, flags, directory, &found)
    guard found.isEmpty else { throw TextProblems(found) }
    return scores.sorted { $0.id < $1.id }
  }

  /// Names of the directory's sets, ascending.
  package static func setNames(sources: [RuleSource]) -> [String] {
    var found: [TextProblem] = []
    let nodes = sources.filter { role($0.path) == .set }.flatMap { parse($0, "", &found) }
    return nodes.compactMap { $0.1["set"]?.scalar }.sorted()
  }

  // MARK: Loading

  /// Everything read from the sources, with what is wrong so far.
  struct Loaded: Sendable {
    var sources: [RuleSource] = []
    var scores: [ScoreDefinition] = []
    /// The flags of ``KnownFlags/path``; nil where the directory has no such file.
    var knownFlags: [String]?
    var templates = RuleTemplates()
    var documents: [Document] = []
    var found: [TextProblem] = []
    /// Rules whose templates could not be written out: what else is wrong with them would only confuse.
    var unresolved: Set<String> = []

    mutating func read(
      _ document: Document, _ adapted: RuleReader.Adaptation, _ registry: VitalRegistry
    ) -> ReadRule? {
      if unresolved.contains(document.id) { return nil }
      var problems = Problems(file: document.file)
      let replaced = adapted.replaced.isEmpty ? [] : self.templates.moved(adapted.replaced, from: adapted.file)
      let node = RuleTemplates.replacing(replaced, in: document.node)
      var rule = RuleReader(registry: registry, scores: scores, knownFlags: knownFlags)
        .read(node, adapted: adapted, &problems)
      let templates = templates
      found += problems.sorted.map { templates.restored($0, rule: document.id) }
      if let text = rule?.definition.canonicalText { rule?.definition.version = "sha256:" + hex(sha256(text)) }
      return rule
    }
  }

  static func load(_ sources: [RuleSource], _ registry: VitalRegistry, _ directory: String) -> Loaded {
    var loaded = Loaded()
    loaded.sources = sources.sorted { $0.path < $1.path }
    loaded.knownFlags = readFlags(loaded.sources, directory, &loaded.found)
    loaded.scores = readScores(loaded.sources, registry, loaded.knownFlags, directory, &loaded.found)
    readDocuments(&loaded, directory)
    return loaded
  }

  /// A patient's flags and care unit are one 64-bit set at run time.
  private static func checkFlags(
    _ rules: [RuleDefinition], _ scores: [ScoreDefinition], _ directory: String, _ found: inout [TextProblem]
  ) {
    var flags = Set(scores.flatMap(\.flags))
    for rule in rules {
      flags.formUnion(rule.flags)
      for case .attribute(.unit(let unit)) in rule.programs.flatMap(\.instructions) { flags.insert("unit \(unit)") }
    }
    guard flags.count > flagsMax else { return }
    found.append(
      TextProblem(
        file: directory, line: 0, column: 0,
        message: "\(flags.count) different flags and care units, at most \(flagsMax) are possible"
      ))
  }

  /// Different patient flags and care units all rules and scores of a plan may ask for.
  package static let flagsMax = 64

  /// The flags a rule directory knows patients may carry; nil where it has no list of them.
  package static func knownFlags(in sources: [RuleSource]) -> [String]? {
    var ignored: [TextProblem] = []
    return readFlags(sources, "", &ignored)
  }

  private static func readFlags(
    _ sources: [RuleSource], _ directory: String, _ found: inout [TextProblem]
  ) -> [String]? {
    guard let source = sources.first(where: { $0.path == KnownFlags.path }) else { return nil }
    var names: [String] = []
    for (file, node) in parse(source, directory, &found) {
      var problems = Problems(file: file)
      names += KnownFlags.read(node, &problems)
      found += problems.sorted
    }
    return names
  }

  private static func readScores(
    _ sources: [RuleSource], _ registry: VitalRegistry, _ flags: [String]?, _ directory: String,
    _ found: inout [TextProblem]
  ) -> [ScoreDefinition] {
    var scores: [ScoreDefinition] = []
    for source in sources where role(source.path) == .score || role(source.path) == .rule {
      let isChart = role(source.path) == .score
      // What a rule file cannot be read for is told with its rules.
      var unread: [TextProblem] = []
      let nodes = parse(source, directory, &unread).filter { isChart || isScore($0.1) }
      if isChart { found += unread }
      for (file, node) in nodes {
        var problems = Problems(file: file)
        if let score = ScoreReader(registry: registry, knownFlags: flags).read(node, &problems) {
          if scores.contains(where: { $0.id == score.id }) { problems.add(node, "a second score `\(score.id)`") }
          scores.append(score)
        }
        found += problems.sorted
      }
    }
    return scores
  }

  /// Whether a document of a rule file is a score's chart.
  private static func isScore(_ node: YAMLNode) -> Bool { node["score"] != nil && node["rule"] == nil }

  private static func readDocuments(_ loaded: inout Loaded, _ directory: String) {
    var nodes: [(file: String, node: YAMLNode)] = []
    for source in loaded.sources where role(source.path) == .rule {
      for (file, node) in parse(source, directory, &loaded.found) where !isScore(node) {
        guard node["template"] != nil, node["rule"] == nil else {
          nodes.append((file, node))
          continue
        }
        var problems = Problems(file: file)
        loaded.templates.add(node, file: file, &problems)
        loaded.found += problems.sorted
      }
    }
    for (file, node) in nodes {
      let id = node["rule"]?.scalar ?? ""
      if let first = loaded.documents.first(where: { $0.id == id && !id.isEmpty }) {
        let place = node["rule"] ?? node
        loaded.found.append(
          TextProblem(
            file: file, line: place.line, column: place.column,
            message: "a second rule `\(id)`; the first is in \(first.file):\(first.line)"))
        continue
      }
      var problems = Problems(file: file)
      let resolved = loaded.templates.resolved(node, rule: id, &problems)
      loaded.found += problems.sorted.map { loaded.templates.restored($0, rule: id) }
      if !problems.isEmpty { loaded.unresolved.insert(id) }
      loaded.documents.append(
        Document(id: id, file: file, node: resolved, tests: node["tests"], line: node.line))
    }
  }

  private static func name(_ source: RuleSource, _ directory: String) -> String {
    directory.isEmpty ? source.path : directory + "/" + source.path
  }

  private static func parse(
    _ source: RuleSource, _ directory: String, _ found: inout [TextProblem]
  ) -> [(String, YAMLNode)] {
    let file = name(source, directory)
    do throws(TextProblem) {
      return try YAMLDocument.parseAll(source.text, file: file).filter { !$0.isNull }.map { (file, $0) }
    } catch {
      found.append(error)
      return []
    }
  }

  // MARK: Sets

  /// What the set changes, by rule id; nil: no set asked for.
  static func chosen(
    _ sources: [RuleSource], set: String?, documents: [Document], _ directory: String,
    _ found: inout [TextProblem]
  ) -> [String: RuleReader.Adaptation]? {
    var sets: [String: [String: RuleReader.Adaptation]] = [:]
    for source in sources where role(source.path) == .set {
      for (file, node) in parse(source, directory, &found) {
        var problems = Problems(file: file)
        if let (name, members) = readSet(node, ids: documents.map(\.id), &problems) {
          if sets[name] != nil { problems.add(node, "a second set `\(name)`") }
          sets[name] = members
        }
        found += problems.sorted
      }
    }
    guard let set else { return nil }
    guard let members = sets[set] else {
      let known = sets.keys.sorted().joined(separator: ", ")
      found.append(
        TextProblem(
          file: directory + "/sets", line: 1, column: 1,
          message: "no rule set `\(set)` (sets: \(known.isEmpty ? "none" : known))",
          suggestion: Suggestion.nearest(set, among: sets.keys.sorted())))
      return [:]
    }
    return members
  }

  private static func readSet(
    _ node: YAMLNode, ids: [String], _ problems: inout Problems
  ) -> (String, [String: RuleReader.Adaptation])? {
    guard let map = YAMLMapping(node, of: "a rule set", keys: ["set", "title", "rationale", "rules"], &problems),
      let name = map.requiredString("set", &problems)
    else { return nil }
    var members: [String: RuleReader.Adaptation] = [:]
    for element in map.list("rules", &problems) ?? [] {
      var adaptation = RuleReader.Adaptation()
      adaptation.file = problems.file
      var idNode = element
      if element.scalar == nil {
        let keys = ["rule", "parameters", "mode", "priority"] + RuleKeys.ofSets
        guard let entry = YAMLMapping(element, of: "an entry of a set", keys: keys, &problems),
          let own = entry.requiredValue("rule", &problems)
        else { continue }
        idNode = own
        adaptation.mode = entry.word("mode", RuleMode.self, &problems)
        adaptation.priority = entry.word("priority", Priority.allCases.map { ($0.text, $0) }, &problems)
        adaptation.replaced = entry.entries.filter { RuleKeys.ofSets.contains($0.key.scalar ?? "") }
        for change in entry.mapping("parameters", &problems)?.entries ?? [] {
          guard let key = change.key.scalar,
            let value = YAMLMapping.parsed(
              change.value, of: key, as: "a number or a duration", &problems, RuleReader.quantity)
          else { continue }
          adaptation.parameters[key] = (value, change.value)
        }
      }
      guard let id = idNode.scalar else { continue }
      if !ids.contains(id) {
        problems.add(idNode, "no rule `\(id)`", suggestion: Suggestion.nearest(id, among: ids))
      } else if members[id] != nil {
        problems.add(idNode, "`\(id)` is in the set twice")
      }
      members[id] = adaptation
    }
    return (name, members)
  }
}
