import Testing

@testable import YAMLText

@Suite struct WriterTests {
  private func plain(_ node: YAMLNode) -> String {
    switch node.content {
    case .null: "null"
    case .scalar(let text, _): "'\(text)'"
    case .sequence(let elements): "[" + elements.map(plain).joined(separator: ",") + "]"
    case .mapping(let entries):
      "{" + entries.map { plain($0.key) + ":" + plain($0.value) }.joined(separator: ",") + "}"
    }
  }

  @Test(arguments: [
    "a: 1", "a: \"yes: # no\"", "a: [1, 2, {b: c}]", "a: ''", "a: ~", "a: 'null'", "a: {}", "a: []",
    "a: |\n  two\n  lines\n", "a: 'it''s \"quoted\" \\ back'", "a: '- x'", "a: \"tab\\tand \\x01\"",
    "when: median(spo2, 10s) < $limit", "applies: { age: '>=16y', unless: [x] }", "- 1\n- [a, 'b, c']\n- {}",
    "a:\n  - { long: 'word word word word word word word word word word word', other: 'word word word word word word' }",
    "a: -5", "a: '-'", "a: grüße", "'strange: key': 1", "a: '%x'", "a: '@x'", "a: ' x '",
  ])
  func whatIsWrittenReadsBackTheSame(_ text: String) throws {
    let node = try YAMLDocument.parse(text, file: "in.yaml")
    let written = YAMLWriter.text(node)
    #expect(plain(try YAMLDocument.parse(written, file: "out.yaml")) == plain(node), "\(written)")
  }
}
