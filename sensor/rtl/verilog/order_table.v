// A table of addresses, loaded from the key stream; one address a clock while `enable` is high, one clock of latency.
`default_nettype none

module order_table #(
    parameter integer SIZE = 16,
    parameter integer AB = 4
) (
    input wire clk,
    input wire enable,
    input wire write,
    input wire [AB-1:0] write_address,
    input wire [AB-1:0] write_data,
    input wire [AB-1:0] read_address,
    output reg [AB-1:0] read_data
);
    reg [AB-1:0] memory [0:SIZE-1];

    always @(posedge clk) begin
        if (write) memory[write_address] <= write_data;
        if (enable) read_data <= memory[read_address];
    end
endmodule

`default_nettype wire
