public import CRModel

/// `results.json`: from ``Results`` to text and back.
public enum ResultsDocument {
    /// The text: keys sorted, cells sorted, two spaces of indentation, a line feed at the end; equal values give equal
    /// bytes.
    public static func json(_ results: Results) throws(ReportError) -> String {
        var stable = results
        stable.cells.sort { $0.cell < $1.cell }
        do {
            return try JSONCoder.text(of: stable, pretty: true) + "\n"
        } catch {
            throw .notWritable(why: "\(error)")
        }
    }

    /// Reads the text back.
    ///
    /// - Parameter place: Where the text comes from, for errors: a path.
    /// - Throws: `ReportError.damaged`, `.wrongSchema` or `.newerSchema`.
    public static func read(_ text: String, place: String = "results.json") throws(ReportError) -> Results {
        let value: JSONValue
        do {
            value = try JSONParser.parse(text)
        } catch {
            throw .damaged(place: place, why: "\(error)")
        }
        // The schema is looked at first: a file of another schema would otherwise be called damaged.
        let schema = value["schema"]?.text ?? ""
        guard schema == Results.schema else {
            let family = Results.schema.prefix { $0 != "/" } + "/"
            if schema.hasPrefix(family), let version = Int(schema.dropFirst(family.count)), version > 1 {
                throw .newerSchema(place: place, found: schema)
            }
            throw .wrongSchema(place: place, found: schema)
        }
        do {
            return try JSONCoder.decode(Results.self, from: value)
        } catch {
            throw .damaged(place: place, why: "\(error)")
        }
    }
}
