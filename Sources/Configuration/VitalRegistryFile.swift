import VitalModel
import YAMLText

/// Reads `Rules/vitals.yaml` into the registry of vital signs; every mistake is reported with its place.
package enum VitalRegistryFile {
  static let keys = [
    "title", "loinc", "mdc", "unit", "units", "aliases", "reject", "zero_sources", "step_gate", "resolution",
    "staleness", "sources", "letters",
  ]

  /// - Throws: every problem of the file at once.
  package static func parse(_ text: String, file: String) throws(TextProblems) -> VitalRegistry {
    let root = try YAMLDocument.root(text, file: file)
    var problems = Problems(file: file)
    var reader = RegistryReader()
    if let top = YAMLMapping(root, of: "registry", keys: ["version", "vitals"], &problems) {
      _ = top.requiredRead("version", as: "1, the only version there is", &problems) { $0 == "1" ? 1 : nil }
      if let node = top.requiredValue("vitals", &problems),
        let list = YAMLMapping(node, of: "vitals", &problems)
      {
        reader.read(list, &problems)
      }
    }
    try problems.check()
    return VitalRegistry(reader.vitals)
  }
}

private struct RegistryReader {
  var vitals: [VitalDefinition] = []
  /// Every name taken so far → the vital that took it.
  private var names: [String: String] = [:]

  mutating func read(_ list: YAMLMapping, _ problems: inout Problems) {
    // Slots carry a 16-bit number; the bound keeps every table small.
    guard list.entries.count <= 1000 else {
      return problems.add(list.node, "more than 1000 vitals")
    }
    for entry in list.entries {
      guard let key = entry.key.scalar else { continue }
      guard Self.isKey(key) else {
        problems.add(entry.key, "`\(key)` must be lower-case letters, digits and `_`, beginning with a letter")
        continue
      }
      take(key, for: key, at: entry.key, &problems)
      guard let vital = YAMLMapping(entry.value, of: key, keys: VitalRegistryFile.keys, &problems) else { continue }
      if let definition = definition(key, vital, &problems) { vitals.append(definition) }
    }
  }

  private static func isKey(_ text: String) -> Bool {
    text.utf8.count <= 40 && text.first?.isLetter == true
      && text.utf8.allSatisfy { (97...122).contains($0) || (48...57).contains($0) || $0 == 95 }
  }

  private mutating func take(_ name: String, for key: String, at node: YAMLNode, _ problems: inout Problems) {
    if let owner = names.updateValue(key, forKey: name.lowercased()) {
      problems.add(node, "name `\(name)` of \(key) is already taken by \(owner)")
    }
  }

  private mutating func definition(
    _ key: String, _ vital: YAMLMapping, _ problems: inout Problems
  ) -> VitalDefinition? {
    let title = vital.requiredString("title", &problems)
    let loinc = vital.list("loinc", &problems) ?? []
    for node in loinc { if let code = node.scalar { take(code, for: key, at: node, &problems) } }
    let mdc = terms(key, vital, &problems)
    let unit = vital.requiredString("unit", &problems)
    let units = conversions(unit ?? "", vital, &problems)
    let aliases = aliases(key, vital, units, &problems)
    let reject = limits(vital, &problems)
    let resolution = vital.requiredRead("resolution", as: "1, 10 or a decimal fraction 0.1 to 0.000001", &problems) {
      Self.powerOfTen($0)
    }
    let staleness = vital.requiredValue("staleness", &problems).flatMap {
      YAMLMapping.duration($0, of: "staleness", in: 1000...3_155_760_000_000, &problems)
    }
    let gate = stepGate(vital, &problems)
    let letters = letters(vital, &problems)
    guard let title, let unit, let reject, let resolution, let staleness else { return nil }
    return VitalDefinition(
      key: key, title: title, loinc: loinc.compactMap(\.scalar), mdc: mdc, unit: unit, units: units, aliases: aliases,
      rejectBelow: reject.below, rejectAbove: reject.above, zeroSources: vital.strings("zero_sources", &problems),
      stepGate: gate, resolutionExponent: resolution, staleness: staleness,
      sources: vital.strings("sources", &problems) ?? [], letters: letters)
  }

  /// `0.1` → -1; nil unless a single 1 at a place evaluation can round to.
  private static func powerOfTen(_ text: String) -> Int? {
    guard let value = DecimalValue(text)?.normalized, value.mantissa == 1, (-6...1).contains(value.exponent) else {
      return nil
    }
    return Int(value.exponent)
  }

  private mutating func terms(_ key: String, _ vital: YAMLMapping, _ problems: inout Problems) -> [MDCTerm] {
    guard let list = vital.mapping("mdc", of: "mdc of \(key)", &problems) else { return [] }
    var terms: [MDCTerm] = []
    for entry in list.entries {
      let name = entry.key.scalar ?? ""
      guard name.hasPrefix("MDC_") else {
        problems.add(entry.key, "`\(name)` must be an MDC reference id such as MDC_ECG_HEART_RATE")
        continue
      }
      guard
        let number = YAMLMapping.parsed(
          entry.value, of: name, as: "a context-free code number", &problems,
          { text in Int(text).flatMap { (1...0x7FFF_FFFF).contains($0) ? $0 : nil } })
      else { continue }
      take(name, for: key, at: entry.key, &problems)
      take(String(number), for: key, at: entry.value, &problems)
      terms.append(MDCTerm(referenceID: name, number: number))
    }
    return terms
  }

  /// The canonical unit first, then the accepted ones as written.
  private func conversions(_ unit: String, _ vital: YAMLMapping, _ problems: inout Problems) -> [UnitConversion] {
    var units = [UnitConversion(unit: unit)]
    guard let list = vital.mapping("units", of: "units", &problems) else { return units }
    // Slots carry the unit's number in a byte; 255 means none.
    if list.entries.count > 200 { problems.add(list.node, "more than 200 units") }
    for entry in list.entries {
      let name = entry.key.scalar ?? ""
      if name == unit {
        problems.add(entry.key, "`\(name)` is the canonical unit already")
      } else if entry.value.scalar == "same" {
        units.append(UnitConversion(unit: name))
      } else if let conversion = YAMLMapping(
        entry.value, of: "unit \(name)", keys: ["offset", "multiply"], &problems)
      {
        let offset = conversion.decimal("offset", &problems) ?? DecimalValue(mantissa: 0)
        let factor = conversion.read("multiply", as: "a whole number or fraction such as 5/9", &problems) {
          Self.fraction($0)
        }
        units.append(
          UnitConversion(
            unit: name, offset: offset, numerator: factor?.numerator ?? 1, denominator: factor?.denominator ?? 1))
      }
    }
    return units
  }

  /// From 1 to 10^12 each: a received number of 18 digits times 10^12 times 10^6 (the finest resolution) fits 128 bits.
  private static func fraction(_ text: String) -> (numerator: Int64, denominator: Int64)? {
    let parts = text.split(separator: "/", omittingEmptySubsequences: false)
    let numbers = parts.compactMap { part in
      part.utf8.allSatisfy { (48...57).contains($0) } ? Int64(part) : nil
    }
    guard parts.count <= 2, numbers.count == parts.count, let numerator = numbers.first,
      numbers.allSatisfy({ (1...1_000_000_000_000).contains($0) })
    else { return nil }
    return (numerator, numbers.count == 2 ? numbers[1] : 1)
  }

  private mutating func aliases(
    _ key: String, _ vital: YAMLMapping, _ units: [UnitConversion], _ problems: inout Problems
  ) -> [String: String] {
    guard let list = vital.mapping("aliases", of: "aliases of \(key)", &problems) else { return [:] }
    var aliases: [String: String] = [:]
    for entry in list.entries {
      let name = entry.key.scalar ?? ""
      guard let unit = YAMLMapping.text(entry.value, of: name, &problems) else { continue }
      guard units.contains(where: { $0.unit == unit }) else {
        problems.add(
          entry.value, "alias `\(name)` implies unit `\(unit)`, which \(key) does not accept",
          suggestion: Suggestion.nearest(unit, among: units.map(\.unit)))
        continue
      }
      take(name, for: key, at: entry.key, &problems)
      aliases[name] = unit
    }
    return aliases
  }

  private func limits(
    _ vital: YAMLMapping, _ problems: inout Problems
  ) -> (below: DecimalValue, above: DecimalValue)? {
    guard let node = vital.requiredValue("reject", &problems),
      let range = YAMLMapping(node, of: "reject", keys: ["below", "above"], &problems)
    else { return nil }
    let below = range.requiredRead("below", as: "a number", &problems) { DecimalValue($0) }
    let above = range.requiredRead("above", as: "a number", &problems) { DecimalValue($0) }
    guard let below, let above else { return nil }
    if below.double >= above.double {
      problems.add(range.place(of: "below"), "`reject` is reversed: below \(below) is not less than above \(above)")
    }
    return (below, above)
  }

  private func stepGate(_ vital: YAMLMapping, _ problems: inout Problems) -> StepGate? {
    guard let gate = vital.mapping("step_gate", of: "step_gate", keys: ["change", "within"], &problems) else {
      return nil
    }
    let change = gate.requiredRead("change", as: "a number above 0", &problems) { text in
      DecimalValue(text).flatMap { $0.mantissa > 0 ? $0 : nil }
    }
    let within = gate.requiredValue("within", &problems).flatMap {
      YAMLMapping.duration($0, of: "within", in: 1...86_400_000, &problems)
    }
    guard let change, let within else { return nil }
    return StepGate(change: change, within: within)
  }

  private func letters(_ vital: YAMLMapping, _ problems: inout Problems) -> [(text: String, value: Int64)] {
    guard let list = vital.mapping("letters", of: "letters", &problems) else { return [] }
    var letters: [(text: String, value: Int64)] = []
    for entry in list.entries {
      let text = entry.key.scalar ?? ""
      let value = YAMLMapping.parsed(entry.value, of: text, as: "a whole number", &problems) { Int64($0) }
      guard let value else { continue }
      if letters.contains(where: { $0.value == value }) {
        problems.add(entry.value, "letter `\(text)` has the number \(value) of another letter")
      }
      letters.append((text, value))
    }
    return letters
  }
}
