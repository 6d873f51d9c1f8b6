import VitalModel
import YAMLText

/// Reads a score's chart (`Rules/scores/*.yaml`).
struct ScoreReader {
  let registry: VitalRegistry

  func read(_ node: YAMLNode, _ problems: inout Problems) -> ScoreDefinition? {
    let before = problems.all.count
    guard let map = YAMLMapping(node, of: "a score", keys: ["score", "title", "source", "components"], &problems) else {
      return nil
    }
    let id = map.requiredString("score", &problems) ?? ""
    let title = map.requiredString("title", &problems) ?? ""
    let source = map.requiredString("source", &problems) ?? ""
    var components: [ScoreComponent] = []
    _ = map.requiredValue("components", &problems)
    for element in map.list("components", &problems) ?? [] {
      if let component = component(element, &problems) { components.append(component) }
    }
    if components.count > 12 { problems.add(map.place(of: "components"), "a score has at most 12 components") }
    guard problems.all.count == before else { return nil }
    return ScoreDefinition(id: id, title: title, source: source, components: components)
  }

  private func component(_ node: YAMLNode, _ problems: inout Problems) -> ScoreComponent? {
    let keys = ["name", "inputs", "median", "bands", "variants", "oxygen"]
    guard let map = YAMLMapping(node, of: "a component", keys: keys, &problems) else { return nil }
    let name = map.requiredString("name", &problems) ?? ""
    var codes: [VitalCode] = []
    for input in map.list("inputs", orSingle: true, &problems) ?? [] {
      guard let key = YAMLMapping.text(input, of: "inputs", &problems) else { continue }
      guard let code = registry.code(key) else {
        problems.add(
          input, "unknown vital `\(key)`", suggestion: Suggestion.nearest(key, among: registry.vitals.map(\.key)))
        continue
      }
      codes.append(code)
    }
    guard let first = codes.first else {
      if map.value("inputs", &problems) == nil { problems.add(node, "`inputs` is missing in a component") }
      return nil
    }
    let isOxygen = map.bool("oxygen", &problems) ?? false
    let exponent = isOxygen ? 0 : registry[first].resolutionExponent
    let letters = registry[first].letters
    var median: Int64 = 0
    if let window = map.value("median", &problems) {
      median = YAMLMapping.parsed(window, of: "median", as: "a duration", &problems, { DurationText.parse($0) }) ?? 0
    }
    let bands = map.requiredValue("bands", &problems).flatMap { self.bands($0, exponent, letters, &problems) }
    var variants: [(flag: String, onOxygen: Bool?, bands: ScoreBands)] = []
    for element in map.list("variants", &problems) ?? [] {
      guard
        let variant = YAMLMapping(element, of: "a variant", keys: ["flag", "on_oxygen", "bands"], &problems),
        let flag = variant.requiredString("flag", &problems),
        let column = variant.requiredValue("bands", &problems).flatMap({ self.bands($0, exponent, letters, &problems) })
      else { continue }
      variants.append((flag, variant.bool("on_oxygen", &problems), column))
    }
    guard let bands else { return nil }
    return ScoreComponent(
      name: name, codes: codes, medianWindow: median, bands: bands, variants: variants, isOxygen: isOxygen)
  }

  /// `[[8, 3], [11, 1], [20, 0], [24, 2], [max, 3]]`: points up to and including each value, ascending.
  private func bands(
    _ node: YAMLNode, _ exponent: Int, _ letters: [(text: String, value: Int64)], _ problems: inout Problems
  ) -> ScoreBands? {
    guard let rows = node.elements, !rows.isEmpty else {
      problems.add(node, "`bands` must be a list of [up to and including, points]")
      return nil
    }
    var list: [(upTo: Int64, points: Int)] = []
    for row in rows {
      guard let pair = row.elements, pair.count == 2, let end = pair[0].scalar,
        let points = pair[1].scalar.flatMap({ Int($0) }), (0...10).contains(points)
      else {
        problems.add(row, "a band is [up to and including, points 0 to 10]")
        return nil
      }
      let letter = letters.first { $0.text == end }?.value
      guard let value = end == "max" ? Int64.max : letter ?? exact(end, exponent) else {
        problems.add(pair[0], "`\(end)` is not a value on this vital's grid")
        return nil
      }
      if let last = list.last, value <= last.upTo {
        problems.add(pair[0], "bands must ascend")
        return nil
      }
      list.append((value, points))
    }
    guard list.last?.upTo == .max else {
      problems.add(rows[rows.count - 1], "the last band must end at `max`, so that no value falls between bands")
      return nil
    }
    return ScoreBands(bands: list)
  }

  private func exact(_ text: String, _ exponent: Int) -> Int64? {
    guard let value = DecimalValue(text), let grid = value.scaled(toExponent: exponent),
      DecimalValue(mantissa: grid, exponent: Int8(exponent)).isSameNumber(as: value)
    else { return nil }
    return grid
  }
}
