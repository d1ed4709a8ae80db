// Two banks of line buffers: codes come in raster order and fill one bank, while the other is read at any address.
`default_nettype none

module line_buffer #(
    parameter integer SIZE = 64,
    parameter integer AB = 6,
    parameter integer BITS = 12
) (
    input wire clk,
    input wire reset,
    input wire write,
    input wire [BITS-1:0] code_in,
    input wire swap,
    input wire [AB-1:0] read_address,
    output reg [BITS-1:0] code_out
);
    reg [BITS-1:0] even [0:SIZE-1];
    reg [BITS-1:0] odd [0:SIZE-1];
    reg filling;
    reg [AB-1:0] write_address;

    always @(posedge clk) begin
        if (reset) begin
            filling <= 1'b0;
            write_address <= {AB{1'b0}};
        end else if (swap) begin
            filling <= !filling;
            write_address <= {AB{1'b0}};
        end else if (write) begin
            write_address <= write_address + {{(AB-1){1'b0}}, 1'b1};
        end
        if (write && !filling) even[write_address] <= code_in;
        if (write && filling) odd[write_address] <= code_in;
        code_out <= filling ? even[read_address] : odd[read_address];
    end
endmodule

`default_nettype wire
