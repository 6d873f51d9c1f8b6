import Testing
import YAMLText

private func problem(_ text: String) -> String {
  do throws(TextProblem) {
    _ = try YAMLDocument.parse(text, file: "f.yaml")
    return "accepted"
  } catch {
    return error.description
  }
}

/// SplitMix64: the same seed, the same damage.
private struct SeededGenerator: RandomNumberGenerator {
  private var state: UInt64
  init(seed: UInt64) { state = seed }
  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
}

@Suite struct YAMLDocumentTests {
  @Test func treeWithPlaces() throws {
    let root = try YAMLDocument.parse("a: 1\nb:\n  - x\n  - 'y'\nc: {d: 7d, e: off}\n", file: "f")
    #expect(root.line == 1)
    #expect(root.column == 1)
    #expect(root.entries?.map(\.key.scalar) == ["a", "b", "c"])
    #expect(root["b"]?.elements?.map(\.line) == [3, 4])
    #expect(root["b"]?.elements?.map(\.column) == [5, 5])
    #expect(root["b"]?.elements?[1].content == .scalar("y", .quoted))
    #expect(root["c"]?["d"]?.content == .scalar("7d", .plain))
    #expect(root["c"]?["e"]?.scalar == "off")
    #expect(root["c"]?["e"]?.column == 15)
  }

  @Test func columnsCountCharacters() throws {
    let root = try YAMLDocument.parse("{é: ü, b: c}", file: "f")
    #expect(root["b"]?.column == 11)
  }

  @Test(arguments: ["no", "off", "12", "7d", "0x10", "1e3", "true", "2020-01-01", "01:30:00", "NaN"])
  func plainScalarsStayText(_ text: String) throws {
    #expect(try YAMLDocument.parse("k: \(text)", file: "f")["k"]?.content == .scalar(text, .plain))
  }

  @Test(arguments: ["k:", "k: ~", "k: null"])
  func nothingIsNull(_ text: String) throws {
    #expect(try YAMLDocument.parse(text, file: "f")["k"]?.isNull == true)
  }

  @Test func quotedNullIsText() throws {
    #expect(try YAMLDocument.parse("k: 'null'", file: "f")["k"]?.scalar == "null")
    #expect(try YAMLDocument.parse("k: ''", file: "f")["k"]?.scalar == "")
  }

  @Test(arguments: ["", "# only a comment\n", "\n\n"])
  func emptyTextIsNull(_ text: String) throws {
    #expect(try YAMLDocument.parse(text, file: "f").isNull)
  }

  @Test func severalDocuments() throws {
    let documents = try YAMLDocument.parseAll("a: 1\n---\nb: 2\n---\nc: 3\n", file: "f")
    #expect(documents.map { $0.entries?.first?.key.scalar } == ["a", "b", "c"])
    #expect(problem("a: 1\n---\nb: 2\n") == "f.yaml:3:1: one document expected, a second begins here")
  }

  @Test func aliasesAreWrittenOut() throws {
    let root = try YAMLDocument.parse("base: &b {x: 1}\nuse: *b\n", file: "f")
    #expect(root["use"]?["x"]?.scalar == "1")
    #expect(root["use"]?.line == 1)
    // An anchor belongs to its document.
    #expect(throws: TextProblem.self) { try YAMLDocument.parseAll("a: &b 1\n---\nc: *b\n", file: "f") }
  }

  @Test func wrongTexts() {
    #expect(problem("a: 1\nb: 2\na: 3\n") == "f.yaml:3:1: key `a` is given twice, first at line 1")
    #expect(problem("a: *nowhere\n") == "f.yaml:1:4: alias `nowhere` has no anchor before it")
    #expect(problem("{[1, 2]: x}\n") == "f.yaml:1:2: a key must be a single word or text, not a list or mapping")
    #expect(problem("a: !!python/object x\n").hasPrefix("f.yaml:1:"))
    #expect(problem("a: !!python/object x\n").contains("tags are not used here"))
    #expect(problem("a: \u{0}\n") == "f.yaml:1:4: control character in the text")
    #expect(problem("a: \u{7}") == "f.yaml:1:4: control character in the text")
  }

  @Test(arguments: [
    "a: [1, 2\n", "a: 'open\n", "a: b: c\n", "\tx: 1\n", "a: 1\n b: 2\n", "- 1\nb: 2\n", "{", "]", "@x", "&",
  ])
  func syntaxErrorsAreOneLineWithAPlace(_ text: String) {
    let line = problem(text)
    #expect(line.hasPrefix("f.yaml:"))
    #expect(line.split(separator: ":").count >= 4)
    #expect(!line.contains("\n"))
  }

  @Test func aliasBombIsBounded() {
    var text = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n"
    for n in 1...20 {
      text += "a\(n): &a\(n) [" + Array(repeating: "*a\(n - 1)", count: 10).joined(separator: ",") + "]\n"
    }
    #expect(problem(text).hasSuffix("more than 200000 values, aliases written out"))
  }

  @Test func aliasLadderIsBoundedInDepth() {
    var text = "a0: &a0 x\n"
    for n in 1...80 { text += "a\(n): &a\(n) [*a\(n - 1)]\n" }
    #expect(problem(text).hasSuffix("nested deeper than 64 levels"))
  }

  @Test func nestingIsBounded() {
    let deep = String(repeating: "[", count: 60) + String(repeating: "]", count: 60)
    #expect(problem(deep) == "accepted")
    let tooDeep = String(repeating: "[", count: 65) + String(repeating: "]", count: 65)
    #expect(problem(tooDeep) != "accepted")
    #expect(problem(String(repeating: "[", count: 100_000)) != "accepted")
    #expect(problem(String(repeating: "- ", count: 100_000)) != "accepted")
  }

  @Test func sizeIsBounded() {
    let text = "a: " + String(repeating: "x", count: YAMLDocument.bytesMax)
    #expect(problem(text) == "f.yaml: text of 4194307 bytes is over the limit of 4194304")
  }

  @Test func placesOfEveryStyle() throws {
    let text = "a: 'x'\nb: \"y\"\n'd': [ \"q\", &n foo]\n\"e\": &m {x: y}\nf: &z \"w\""
    let entries = try #require(try YAMLDocument.parse(text, file: "f").entries)
    #expect(entries.map(\.key.column) == [1, 1, 1, 1, 1])
    #expect(entries.map(\.value.column) == [4, 4, 6, 9, 7])
    #expect(entries[2].value.elements?.map(\.column) == [8, 16])
  }

  @Test func syntaxMessages() {
    #expect(problem("a: 1\n b: 2\n") == "f.yaml:1:4: invalid multiline plain key")
    #expect(problem("a: 1\nc: ]\n").hasPrefix("f.yaml:2:4: "))
  }

  @Test func everyPrefixIsAnsweredWithoutTrapping() {
    let text = "a: &x [1, 'two', \"th\\u0072ee\"]\nb: {c: *x, d: |\n  text\n  more\n}\n? e\n: >-\n  folded\n"
    for count in 0...text.count { _ = problem(String(text.prefix(count))) }
  }

  @Test func damagedTextsAreAnsweredWithoutTrapping() throws {
    let text =
      "# c\na: &x [1, 'two', \"th\\u0072ee\"]\nb: {c: *x, d: |\n  text\n  more\n}\n? e\n: >-\n  folded\n"
      + "%YAML 1.2\n---\nf:\n- g\n- - h\n  - i: !t j\n...\n"
    let alphabet = Array("abc:-[]{},&*!|>'\"%@`#?~ \n\t\\0é🫀\u{85}\u{2028}\u{feff}")
    var generator = SeededGenerator(seed: 7)
    for _ in 0..<4000 {
      var damaged = Array(text)
      for _ in 0..<Int.random(in: 1...6, using: &generator) {
        let position = Int.random(in: 0..<damaged.count, using: &generator)
        switch Int.random(in: 0..<4, using: &generator) {
        case 0: damaged.remove(at: position)
        case 1: damaged.insert(try #require(alphabet.randomElement(using: &generator)), at: position)
        case 2: damaged[position] = try #require(alphabet.randomElement(using: &generator))
        default: damaged.insert(contentsOf: damaged[position...].prefix(12), at: position)
        }
      }
      _ = try? YAMLDocument.parseAll(String(damaged), file: "f")
    }
  }

  @Test func caretStandsUnderTheColumn() {
    let source = "a: 1\nbb: nope\n"
    let problem = TextProblem(file: "f", line: 2, column: 5, message: "wrong")
    #expect(problem.rendered(source: source) == "f:2:5: wrong\n  bb: nope\n      ^")
    #expect(TextProblem(file: "f", line: 0, column: 0, message: "gone").rendered(source: "x") == "f: gone")
    #expect(TextProblem(file: "f", line: 9, column: 1, message: "past").rendered(source: "x") == "f:9:1: past")
  }
}

@Suite struct YAMLMappingTests {
  private enum Colour: String, CaseIterable { case red, green }

  private func read(_ text: String, _ body: (YAMLMapping, inout Problems) -> Void) throws -> [String] {
    var problems = Problems(file: "f.yaml")
    let node = try YAMLDocument.parse(text, file: "f.yaml")
    if let mapping = YAMLMapping(node, of: "rule", keys: ["id", "count", "on", "colour", "to", "for"], &problems) {
      body(mapping, &problems)
    }
    return problems.sorted.map(\.description)
  }

  @Test func readsTypes() throws {
    let problems = try read("id: x\ncount: 3\non: true\ncolour: green\nto: one\nfor: 7\n") { mapping, problems in
      #expect(mapping.requiredString("id", &problems) == "x")
      #expect(mapping.int("count", in: 1...9, &problems) == 3)
      #expect(mapping.bool("on", &problems) == true)
      #expect(mapping.word("colour", Colour.self, &problems) == .green)
      #expect(mapping.strings("to", orSingle: true, &problems) == ["one"])
      #expect(mapping.read("for", as: "digits", &problems) { Int($0) } == 7)
    }
    #expect(problems == [])
  }

  @Test func collectsEveryProblemInOrder() throws {
    let problems = try read("cuont: 3\ncount: 12\non: yes\ncolour: gren\nto: one\nfor: x\n") { mapping, problems in
      #expect(mapping.read("for", as: "digits", &problems) { Int($0) } == nil)
      #expect(mapping.requiredString("id", &problems) == nil)
      #expect(mapping.int("count", in: 1...9, &problems) == nil)
      #expect(mapping.bool("on", &problems) == nil)
      #expect(mapping.word("colour", Colour.self, &problems) == nil)
      #expect(mapping.strings("to", &problems) == nil)
    }
    #expect(
      problems == [
        "f.yaml:1:1: unknown key `cuont` in rule; did you mean `count`?",
        "f.yaml:1:1: rule needs `id`",
        "f.yaml:2:8: `count` must be a whole number from 1 to 9, not `12`",
        "f.yaml:3:5: `on` must be true or false, not `yes`",
        "f.yaml:4:9: `colour` must be one of red, green, not `gren`; did you mean `green`?",
        "f.yaml:5:5: `to` must be a list, not text",
        "f.yaml:6:6: `for` must be digits, not `x`",
      ])
  }

  @Test func keyWithoutValueAndWrongShapes() throws {
    let problems = try read("id:\ncount: [1]\n") { mapping, problems in
      #expect(mapping.requiredString("id", &problems) == nil)
      #expect(mapping.int("count", in: 1...9, &problems) == nil)
      #expect(mapping.string("count", &problems) == nil)
    }
    #expect(
      problems == [
        "f.yaml:1:1: `id` in rule has no value",
        "f.yaml:2:8: `count` must be a whole number from 1 to 9, not a list",
        "f.yaml:2:8: `count` must be text, not a list",
      ])
    #expect(try read("- 1\n") { _, _ in } == ["f.yaml:1:1: rule must be a mapping (`key: value` lines), not a list"])
  }

  @Test func problemsAreBounded() {
    var problems = Problems(file: "f")
    for n in 0..<1000 { problems.add(line: n + 1, column: 1, "wrong") }
    #expect(problems.all.count == Problems.countMax + 1)
    #expect(problems.sorted.last?.description == "f: further problems are not listed")
    #expect(throws: TextProblems.self) { try problems.check() }
  }

  @Test func suggestions() {
    #expect(Suggestion.distance("kitten", "sitting") == 3)
    #expect(Suggestion.distance("", "abc") == 3)
    #expect(Suggestion.distance("abc", "") == 3)
    #expect(Suggestion.distance("bmp", "bpm") == 1)
    #expect(Suggestion.distance("cuont", "count") == 1)
    #expect(Suggestion.nearest("brokerz", among: ["brokers", "routes"]) == "brokers")
    #expect(Suggestion.nearest("zzz", among: ["brokers", "routes"]) == nil)
    #expect(Suggestion.nearest("hx", among: ["hr", "pr", "temp"]) == "hr")
    #expect(Suggestion.nearest("SPO", among: ["spo2"]) == "spo2")
    #expect(Suggestion.nearest("", among: ["a"]) == nil)
  }
}
