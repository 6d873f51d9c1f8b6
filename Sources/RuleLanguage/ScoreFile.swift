import VitalModel
import YAMLText

/// Reads a score's chart (`Rules/scores/*.yaml`).
struct ScoreReader {
  let registry: VitalRegistry
  /// Flags patients may carry; nil: any.
  var knownFlags: [String]?

  func read(_ node: YAMLNode, _ problems: inout Problems) -> ScoreDefinition? {
    let before = problems.all.count
    let keys = ["score", "title", "source", "range", "trigger", "components"]
    guard let map = YAMLMapping(node, of: "a score", keys: keys, &problems) else { return nil }
    let id = map.requiredString("score", &problems) ?? ""
    if !id.isEmpty, !ScoreReader.isName(id) {
      problems.add(
        map.place(of: "score"),
        "a score's id is lower-case letters, digits and `_`, beginning with a letter, not `\(id)`")
    } else if FeatureKind(rawValue: id) != nil || registry.code(id) != nil {
      problems.add(map.place(of: "score"), "`\(id)` is already a function or a vital: give the score another id")
    }
    let title = map.requiredString("title", &problems) ?? ""
    let source = map.requiredString("source", &problems) ?? ""
    var components: [ScoreComponent] = []
    _ = map.requiredValue("components", &problems)
    for element in map.list("components", &problems) ?? [] {
      guard let component = component(element, &problems) else { continue }
      if components.contains(where: { $0.name == component.name }) {
        problems.add(element, "a second component `\(component.name)`")
      }
      if component.isOxygen, components.contains(where: \.isOxygen) {
        problems.add(element, "a score has one component that says whether oxygen is given")
      }
      components.append(component)
    }
    if components.count > ScoreDefinition.componentsMax {
      problems.add(
        map.place(of: "components"), "a score has at most \(ScoreDefinition.componentsMax) components")
    }
    if !components.isEmpty, components.allSatisfy(\.codes.isEmpty) {
      problems.add(map.place(of: "components"), "no component reads a vital, so nothing would ever make it be judged")
    }
    let triggers = triggers(map, &problems)
    guard problems.all.count == before else { return nil }
    let score = ScoreDefinition(id: id, title: title, source: source, components: components, triggers: triggers)
    checkRange(map, score, &problems)
    return problems.all.count == before ? score : nil
  }

  private static func isName(_ text: String) -> Bool {
    text.utf8.allSatisfy { (97...122).contains($0) || (48...57).contains($0) || $0 == 95 }
      && text.utf8.first.map { (97...122).contains($0) } ?? false
  }

  /// A slip in one band shows as another range than the one the paper prints.
  private func checkRange(_ map: YAMLMapping, _ score: ScoreDefinition, _ problems: inout Problems) {
    guard let node = map.value("range", &problems) else { return }
    guard let pair = node.elements, pair.count == 2, pair[0].scalar == "0",
      let most = pair[1].scalar.flatMap({ Int($0) })
    else {
      problems.add(node, "`range` must be `[0, most]`, the totals the chart can give")
      return
    }
    let found = score.components.reduce(0) { $0 + $1.pointsMax }
    if most != found { problems.add(node, "the components add up to 0 to \(found), not 0 to \(most)") }
  }

  // MARK: Classes

  private func triggers(_ map: YAMLMapping, _ problems: inout Problems) -> [ScoreTrigger] {
    var list: [ScoreTrigger] = []
    let elements = map.list("trigger", &problems) ?? []
    for element in elements {
      guard
        let entry = YAMLMapping(element, of: "a trigger class", keys: ["class", "total", "single"], &problems),
        let name = entry.requiredString("class", &problems)
      else { continue }
      let trigger = ScoreTrigger(
        name: name, total: entry.int("total", in: 1...100, &problems),
        single: entry.int("single", in: 1...10, &problems))
      if list.contains(where: { $0.name == name }) { problems.add(element, "a second trigger class `\(name)`") }
      if let last = list.last, last.isLowest {
        problems.add(element, "`\(name)` can never be reached: everybody is in `\(last.name)` before it")
      } else if let total = trigger.total,
        let before = list.last(where: { $0.total != nil }), total >= before.total ?? 0
      {
        problems.add(element, "`\(name)` can never be reached by its total: `\(before.name)` comes first")
      }
      list.append(trigger)
    }
    if let last = list.last, !last.isLowest {
      problems.add(
        elements[elements.count - 1],
        "the last trigger class must have neither `total` nor `single`: all others are in it")
    }
    return list
  }

  // MARK: Components

  private func component(_ node: YAMLNode, _ problems: inout Problems) -> ScoreComponent? {
    let before = problems.all.count
    let keys = ["name", "inputs", "ratio", "value", "resolution", "median", "bands", "variants", "oxygen", "absent"]
    guard let map = YAMLMapping(node, of: "a component", keys: keys, &problems) else { return nil }
    let name = map.requiredString("name", &problems) ?? ""
    guard let input = input(map, node, &problems) else { return nil }
    let absent = map.int("absent", in: 0...10, &problems)
    var median: Int64 = 0
    if let window = map.value("median", &problems) {
      let expected = "a duration of 1s to 1h"
      median =
        YAMLMapping.parsed(window, of: "median", as: expected, &problems) { text in
          DurationText.parse(text).flatMap { (1000...3_600_000).contains($0) ? $0 : nil }
        } ?? 0
    }
    if case .worst = input {
      for key in ["bands", "variants"] where map.has(key) {
        problems.add(map.place(of: key), "`\(key)` beside inputs with bands of their own: none of it would be used")
      }
      return problems.all.count == before
        ? ScoreComponent(name: name, input: input, medianWindow: median, bands: nil, absent: absent) : nil
    }
    let grid = grid(of: input)
    let variants = variants(map, grid, &problems)
    // Where every column is for some ages, an unknown age makes the component unknown.
    let bands =
      variants.isEmpty && !map.has("variants")
      ? map.requiredValue("bands", &problems).flatMap { self.bands($0, grid, &problems) }
      : map.value("bands", &problems).flatMap { self.bands($0, grid, &problems) }
    guard problems.all.count == before else { return nil }
    return ScoreComponent(
      name: name, input: input, medianWindow: median, bands: bands, variants: variants, absent: absent)
  }

  private func input(_ map: YAMLMapping, _ node: YAMLNode, _ problems: inout Problems) -> ScoreInput? {
    if let value = map.value("value", &problems) { return expression(map, value, &problems) }
    if map.has("resolution") {
      problems.add(map.place(of: "resolution"), "`resolution` is for a `value`: an input has that of its vital")
    }
    let isOxygen = map.bool("oxygen", &problems) ?? false
    if map.has("ratio") {
      if map.has("inputs") || isOxygen {
        problems.add(map.place(of: "ratio"), "give either `ratio` or `inputs`")
        return nil
      }
      return ratio(map, &problems)
    }
    let elements = map.list("inputs", orSingle: true, &problems) ?? []
    if elements.contains(where: { $0.entries != nil }) {
      if isOxygen { problems.add(map.place(of: "oxygen"), "`oxygen: true` takes plain inputs") }
      return worst(elements, &problems)
    }
    let codes = codes(elements, &problems)
    guard let first = codes.first else {
      if map.value("inputs", &problems) == nil { problems.add(node, "`inputs` is missing in a component") }
      return nil
    }
    if isOxygen { return .oxygen(codes) }
    for (index, code) in codes.enumerated()
    where registry[code].resolutionExponent != registry[first].resolutionExponent {
      problems.add(
        elements[min(index, elements.count - 1)],
        "`\(registry[code].key)` has another resolution than `\(registry[first].key)`: give each input bands of its own"
      )
    }
    return .preferred(codes)
  }

  /// `[{ vital: resp, bands: [...] }, { vital: paco2, bands: [...] }]`.
  private func worst(_ elements: [YAMLNode], _ problems: inout Problems) -> ScoreInput? {
    var list: [(code: VitalCode, bands: ScoreBands)] = []
    for element in elements {
      guard let entry = YAMLMapping(element, of: "an input", keys: ["vital", "bands"], &problems),
        let vital = entry.requiredValue("vital", &problems), let code = codes([vital], &problems).first,
        let bands = entry.requiredValue("bands", &problems).flatMap({
          self.bands($0, grid(of: .preferred([code])), &problems)
        })
      else { continue }
      list.append((code, bands))
    }
    return list.isEmpty ? nil : .worst(list)
  }

  /// `[hr, sbp]`, or `[[hr, pr], [sbp, abp_sys]]` with alternatives, preferred first.
  private func ratio(_ map: YAMLMapping, _ problems: inout Problems) -> ScoreInput? {
    guard let node = map.value("ratio", &problems) else { return nil }
    guard let pair = node.elements, pair.count == 2 else {
      problems.add(node, "`ratio` must be two vitals, as in `[hr, sbp]`")
      return nil
    }
    let sides = pair.map { codes($0.elements ?? [$0], &problems) }
    guard let top = sides[0].first, let bottom = sides[1].first else { return nil }
    for (side, first) in [(sides[0], top), (sides[1], bottom)] {
      for code in side where registry[code].resolutionExponent != registry[first].resolutionExponent {
        problems.add(node, "`\(registry[code].key)` and `\(registry[first].key)` differ in resolution")
      }
    }
    if !registry[top].letters.isEmpty || !registry[bottom].letters.isEmpty {
      problems.add(node, "a vital sent as letters has no ratio")
    }
    return .ratio(sides[0], sides[1])
  }

  private func codes(_ elements: [YAMLNode], _ problems: inout Problems) -> [VitalCode] {
    var codes: [VitalCode] = []
    for element in elements {
      guard let key = YAMLMapping.text(element, of: "inputs", &problems) else { continue }
      guard let code = registry.code(key) else {
        problems.add(
          element, "unknown vital `\(key)`", suggestion: Suggestion.nearest(key, among: registry.vitals.map(\.key)))
        continue
      }
      codes.append(code)
    }
    return codes
  }

  // MARK: Columns

  /// The values a column's bands end at: steps of a power of ten, or letters.
  private struct Grid {
    var exponent: Int
    var letters: [(text: String, value: Int64)] = []
    /// Milliseconds, written as durations.
    var isTime = false
  }

  private func grid(of input: ScoreInput) -> Grid {
    switch input {
    case .oxygen: Grid(exponent: 0)
    case .ratio: Grid(exponent: ScoreInput.ratioExponent)
    case .preferred(let codes):
      codes.first.map { Grid(exponent: registry[$0].resolutionExponent, letters: registry[$0].letters) }
        ?? Grid(exponent: 0)
    case .worst: Grid(exponent: 0)
    case .expression(let expression):
      Grid(exponent: expression.exponent, letters: letters(of: expression), isTime: isTime(expression))
    }
  }

  private func variants(_ map: YAMLMapping, _ grid: Grid, _ problems: inout Problems) -> [ScoreVariant] {
    var variants: [ScoreVariant] = []
    for element in map.list("variants", &problems) ?? [] {
      guard
        let entry = YAMLMapping(element, of: "a variant", keys: ["flag", "on_oxygen", "age", "bands"], &problems),
        let column = entry.requiredValue("bands", &problems).flatMap({ self.bands($0, grid, &problems) })
      else { continue }
      var variant = ScoreVariant(
        flag: entry.string("flag", &problems), onOxygen: entry.bool("on_oxygen", &problems), bands: column)
      if let flag = variant.flag, let place = entry.value("flag", &problems) {
        KnownFlags.check(flag, place, among: knownFlags, &problems)
      }
      if entry.has("age") {
        let months = entry.read("age", as: "an age range such as `>=3mo <12mo`", &problems, ScoreReader.months)
        variant.monthsFrom = months?.from
        variant.monthsBelow = months?.below
      } else if variant.flag == nil, variant.onOxygen == nil {
        problems.add(element, "a variant needs `flag`, `age` or `on_oxygen`: what it is for")
      }
      variants.append(variant)
    }
    return variants
  }

  /// `<3mo`, `>=3mo <12mo`, `>=13y`: completed months, from (included) and below (excluded).
  static func months(_ text: String) -> (from: Int?, below: Int?)? {
    var from: Int?
    var below: Int?
    let words = text.split(separator: " ")
    guard (1...2).contains(words.count) else { return nil }
    for word in words {
      let isFrom = word.hasPrefix(">=")
      guard isFrom || word.hasPrefix("<"), !word.hasPrefix("<=") else { return nil }
      let rest = word.dropFirst(isFrom ? 2 : 1)
      let isMonths = rest.hasSuffix("mo")
      guard isMonths || rest.hasSuffix("y"), let count = Int(rest.dropLast(isMonths ? 2 : 1)),
        (0...1560).contains(count)
      else { return nil }
      let months = isMonths ? count : count * 12
      guard isFrom ? from == nil : below == nil else { return nil }
      if isFrom { from = months } else { below = months }
    }
    if let from, let below, from >= below { return nil }
    return (from, below)
  }

  /// `[[8, 3], [11, 1], [20, 0], [24, 2], [max, 3]]`: points up to and including each value, ascending.
  private func bands(_ node: YAMLNode, _ grid: Grid, _ problems: inout Problems) -> ScoreBands? {
    guard let rows = node.elements, !rows.isEmpty else {
      problems.add(node, "`bands` must be a list of [up to and including, points]")
      return nil
    }
    var list: [ScoreBands.Band] = []
    for row in rows {
      guard let pair = row.elements, pair.count == 2, let end = pair[0].scalar,
        let points = pair[1].scalar.flatMap({ Int($0) }), (0...10).contains(points)
      else {
        problems.add(row, "a band is [up to and including, points 0 to 10]")
        return nil
      }
      let letter = grid.letters.first { $0.text == end }?.value
      let time = grid.isTime ? DurationText.parse(end) : nil
      guard let value = end == "max" ? Int64.max : letter ?? time ?? (grid.isTime ? nil : exact(end, grid.exponent))
      else {
        problems.add(
          pair[0],
          grid.isTime ? "`\(end)` is not a duration such as `4h`" : "`\(end)` is not a value on this vital's grid")
        return nil
      }
      if let last = list.last, value <= last.upTo {
        problems.add(pair[0], "bands must ascend")
        return nil
      }
      list.append(ScoreBands.Band(upTo: value, points: points))
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
