// For simulation: gives a zone the words that it asks for, from a file. LONGEST words belong to a segment; they are
// written into its table one by one, or TABLE is 0, and the one word is held on its key bus.
`default_nettype none

module order_supply #(
    parameter FILE = "words.hex",
    parameter integer WORDS = 1,
    parameter integer BITS = 1,
    parameter integer LONGEST = 1,
    parameter integer TABLE = 0
) (
    input wire clk,
    input wire ask,
    input wire [31:0] segment,
    output reg ready,
    output reg [BITS-1:0] keys,
    output reg write,
    output reg [31:0] write_address
);
    reg [BITS-1:0] words [0:WORDS-1];
    reg [31:0] filled;

    initial begin
        ready = 1'b0;
        write = 1'b0;
        keys = {BITS{1'b0}};
        write_address = 32'd0;
        filled = 32'd0;
        $readmemh(FILE, words);
    end

    always @(posedge clk) begin
        write <= 1'b0;
        if (!ask) begin
            ready <= 1'b0;
            filled <= 32'd0;
        end else if (filled == LONGEST) begin
            ready <= 1'b1;
        end else begin
            write <= (TABLE != 0);
            write_address <= filled;
            keys <= words[segment * LONGEST + filled];
            filled <= filled + 32'd1;
        end
    end
endmodule

`default_nettype wire
